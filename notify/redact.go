package notify

import (
	"regexp"
	"strings"
	"unicode"
)

// What looks like a secret. The groups of a pattern stay.
var secretPatterns = []*regexp.Regexp{
	regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`),
	regexp.MustCompile(`(://)[^/\s:@]*:[^/\s@]+(@)`),                                   // user and password of a URL
	regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}`),            // of an Authorization header
	regexp.MustCompile(`(https://hooks\.slack\.com/)[^\s"'<>]+`),                       // Slack's incoming webhooks
	regexp.MustCompile(`\bxox[a-z]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}`),          // Slack
	regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`),                                         // AWS
	regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}`),            // GitHub
	regexp.MustCompile(`\bsk-[A-Za-z0-9_-]{16,}`),                                      // OpenAI and others
	regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}`), // JSON Web Tokens
	regexp.MustCompile(`\b\d{8,12}:[A-Za-z0-9_-]{35}\b`),                               // Telegram's bots
}

// assigned is a name that says that its value is a secret, and the value.
var assigned = regexp.MustCompile(`(?i)([A-Za-z0-9_-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|signature)["']?\s*)([:=])(\s*["']?)([^\s"',;&]+)`)

// Redact replaces what looks like a secret by "[secret]": private keys, passwords in
// URLs, bearer tokens, the tokens of common services, and whatever is assigned to a
// name such as api_key, password or token. It is a net and no proof: what looks
// like nothing in particular is not caught, so that Config.Secrets takes the exact
// values that must never go out.
func Redact(text string) string {
	for _, p := range secretPatterns {
		text = p.ReplaceAllString(text, "${1}"+hidden+"${2}")
	}
	return assigned.ReplaceAllStringFunc(text, func(found string) string {
		part := assigned.FindStringSubmatch(found)
		name, sign, space, value := part[1], part[2], part[3], part[4]
		if sign == ":" && !strings.ContainsAny(space, `"'`) && !random(value) {
			return found // prose, such as "token: expired"
		}
		return name + sign + space + hidden
	})
}

// random reports whether a word is more likely a secret than a word.
func random(s string) bool {
	return len(s) >= 24 || len(s) >= 8 && strings.ContainsFunc(s, unicode.IsDigit)
}

// redact is Redact with the exact values of the config.
func (c Config) redact(text string) string {
	for _, s := range c.Secrets {
		text = strings.ReplaceAll(text, string(s), hidden)
	}
	return Redact(text)
}

// redacted is an error whose text has been redacted, and is what it was otherwise.
type redacted struct {
	text string
	err  error
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.err }

// redactError keeps what a channel says from carrying a secret to the timeline.
func (c Config) redactError(err error) error {
	if err == nil {
		return nil
	}
	if text := c.redact(err.Error()); text != err.Error() {
		return redacted{text, err}
	}
	return err
}
