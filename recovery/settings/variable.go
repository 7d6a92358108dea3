package settings

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Kind says what a value has to look like.
type Kind string

// The kinds of values.
const (
	Text       Kind = "text"        // one line, not empty
	Whole      Kind = "whole"       // a whole number from Min to Max
	Fraction   Kind = "fraction"    // an exact decimal number above Min and up to Max
	Switch     Kind = "switch"      // true or false
	PrivateKey Kind = "private key" // PEM of an EC or Ed25519 key, or an Ed25519 key in base64
	Addresses  Kind = "addresses"   // IP addresses and prefixes with commas between, at least one
	Memory     Kind = "memory"      // a whole number and b, k, m or g, at least 6m
)

// Stricter says which way a value goes to allow less exposure.
type Stricter string

// The ways of becoming stricter.
const (
	Neither Stricter = ""     // it allows no exposure either way
	Down    Stricter = "down" // the smaller number is the stricter one
	Up      Stricter = "up"   // the larger number is the stricter one
	On      Stricter = "on"   // true is stricter than false
	Unclear Stricter = "?"    // it is not known, so that every change counts as loosening
)

// Variable is one that the playbook changes: what it takes, and what a change needs.
type Variable struct {
	Name     string // with dots it is a path in production.json, else a variable of .env
	What     string
	Kind     Kind
	Unit     string // empty where it has none
	Min, Max string // of numbers, both allowed, but not the Min of a Fraction
	Secret   bool   // never shown
	Stricter Stricter
	Recreate bool // takes effect when the container is made anew; else when the bot starts
}

// Variables returns the variables of the playbook, in its order. The slice is the
// caller's.
func Variables() []Variable {
	return []Variable{
		{Name: "EXCHANGE__CDP_API_KEY_NAME", What: "name of the exchange's API key", Kind: Text},
		{Name: "EXCHANGE__CDP_PRIVATE_KEY", What: "private key to the exchange", Kind: PrivateKey, Secret: true},
		{Name: "EXCHANGE__WEBSOCKET_TIMEOUT", What: "how long a silent WebSocket lives", Kind: Whole, Unit: "s", Min: "1", Max: "3600"},
		{Name: "EXCHANGE__WEBSOCKET_PING_INTERVAL", What: "time between pings of the WebSocket", Kind: Whole, Unit: "s", Min: "1", Max: "3600"},
		{Name: "SYSTEM__DRY_RUN", What: "trade on paper only", Kind: Switch, Stricter: On},
		{Name: "SECURITY__ENABLE_2FA", What: "ask for a second factor", Kind: Switch, Stricter: On},
		{Name: "SECURITY__IP_WHITELIST", What: "addresses that may reach the bot", Kind: Addresses},
		{Name: "TRADING__MIN_TIME_BETWEEN_TRADES", What: "shortest time between two trades", Kind: Whole, Unit: "s", Min: "0", Max: "86400", Stricter: Up},
		{Name: "MCP_ENABLED", What: "use the memory server", Kind: Switch},
		{Name: "MONITORING__DETAILED_METRICS", What: "measure in detail", Kind: Switch},
		{Name: "RISK__MAX_POSITION_SIZE", What: "largest position", Kind: Fraction, Unit: "of the account", Min: "0", Max: "1", Stricter: Down},
		{Name: "DOCKER_MEMORY", What: "memory of the bot's container", Kind: Memory, Unit: "bytes, or with k, m, g", Recreate: true},
		{Name: "DOCKER_CPUS", What: "processors of the bot's container", Kind: Fraction, Unit: "CPUs", Min: "0", Max: "1024", Recreate: true},
		{Name: "performance.websocket_buffer_size", What: "messages that may wait", Kind: Whole, Unit: "messages", Min: "1", Max: "10000000"},
		{Name: "performance.indicator_cache_ttl", What: "how long an indicator is kept", Kind: Whole, Unit: "s", Min: "0", Max: "86400"},
		{Name: "performance.batch_size", What: "items of one batch", Kind: Whole, Unit: "items", Min: "1", Max: "1000000"},
		{Name: "performance.parallel_workers", What: "workers at once", Kind: Whole, Unit: "workers", Min: "1", Max: "1024"},
		{Name: "performance.db_connection_pool", What: "connections to the database", Kind: Whole, Unit: "connections", Min: "1", Max: "10000"},
	}
}

var (
	pathName   = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`)
	secretName = regexp.MustCompile(`(?i)KEY|SECRET|TOKEN|PASS|PRIVATE|CREDENTIAL|DSN|URL|AUTH|SEED|MNEMONIC`)
	memoryText = regexp.MustCompile(`^[1-9][0-9]{0,17}[bkmg]?$`)
	wholeText  = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})$`)
	exactText  = regexp.MustCompile(`^[0-9]{1,18}(\.[0-9]{1,18})?$`)
)

// variable returns what is known of a name. Names that Config.Extra lets in are text,
// and which way theirs is stricter is not known where it could be a limit.
func (s *Store) variable(name string) (Variable, error) {
	for _, v := range Variables() {
		if v.Name == name {
			return v, nil
		}
	}
	if !pathName.MatchString(name) && envName.FindString(name) != name {
		return Variable{}, fmt.Errorf("%q is not the name of a variable", name)
	}
	if !slices.ContainsFunc(s.cfg.Extra, func(e string) bool {
		return e == name || (strings.HasSuffix(e, "__") || strings.HasSuffix(e, ".")) && strings.HasPrefix(name, e) && name != e
	}) {
		return Variable{}, fmt.Errorf("%s is not a variable of the playbook: name it in Config.Extra if it is one of the bot's", name)
	}
	v := Variable{Name: name, What: "one of the bot's own", Kind: Text, Secret: secretName.MatchString(name)}
	if strings.HasPrefix(name, "TRADING__") || strings.HasPrefix(name, "RISK__") || strings.Contains(name, ".") && !strings.HasPrefix(name, "performance.") {
		v.Stricter = Unclear
	}
	return v, nil
}

// inJSON reports whether a name is a path in production.json.
func inJSON(name string) bool { return strings.Contains(name, ".") }

// check returns what is wrong with a value, without the value where that may be secret.
func (v Variable) check(value string) error {
	switch v.Kind {
	case Text:
		if strings.TrimSpace(value) != value || value == "" || len(value) > 4096 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return errors.New("it has to be one line of 1 to 4096 bytes that neither begins nor ends with a blank")
		}
	case Whole:
		if n, ok := v.number(value); !ok || n.Cmp(rat(v.Min)) < 0 || n.Cmp(rat(v.Max)) > 0 {
			return fmt.Errorf("it has to be a whole number from %s to %s (%s)", v.Min, v.Max, v.Unit)
		}
	case Fraction:
		if n, ok := v.number(value); !ok || n.Cmp(rat(v.Min)) <= 0 || n.Cmp(rat(v.Max)) > 0 {
			return fmt.Errorf("it has to be a number above %s and up to %s (%s), such as %s", v.Min, v.Max, v.Unit, "0.5")
		}
	case Switch:
		if value != "true" && value != "false" {
			return errors.New("it has to be true or false")
		}
	case Memory:
		if !memoryText.MatchString(value) || memory(value).Cmp(big.NewInt(6<<20)) < 0 {
			return errors.New("it has to be a whole number followed by b, k, m or g, and at least 6m")
		}
	case Addresses:
		return checkAddresses(value)
	case PrivateKey:
		return checkPrivateKey(value)
	}
	return nil
}

func rat(s string) *big.Rat {
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("settings: " + s + " in the table is not a number")
	}
	return n
}

// number reads the value of a Whole or a Fraction exactly.
func (v Variable) number(value string) (*big.Rat, bool) {
	if v.Kind == Whole && !wholeText.MatchString(value) || !exactText.MatchString(value) {
		return nil, false
	}
	return new(big.Rat).SetString(value)
}

func memory(value string) *big.Int {
	digits := strings.TrimRight(value, "bkmg")
	n, _ := new(big.Int).SetString(digits, 10)
	return n.Lsh(n, map[string]uint{"k": 10, "m": 20, "g": 30}[value[len(digits):]])
}

func checkAddresses(value string) error {
	for a := range strings.SplitSeq(value, ",") {
		a = strings.TrimSpace(a)
		_, err := netip.ParseAddr(a)
		p, err2 := netip.ParsePrefix(a)
		switch {
		case err != nil && err2 != nil:
			return fmt.Errorf("%q is neither an IP address nor a prefix such as 10.0.0.0/8", a)
		case err2 == nil && p.Bits() == 0:
			return fmt.Errorf("%q lets in everybody", a)
		case err2 == nil && p != p.Masked():
			return fmt.Errorf("%q has digits beyond its prefix: is %v meant?", a, p.Masked())
		}
	}
	return nil
}

func checkPrivateKey(value string) error {
	bad := errors.New("it has to be the PEM of an EC or Ed25519 private key, or an Ed25519 key in base64")
	text := value
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, `\n`, "\n") // a PEM on one line, as some vendors give it
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(raw) != ed25519.PrivateKeySize || !slices.Equal(raw, ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])) {
			return bad
		}
		return nil
	}
	if strings.TrimSpace(string(rest)) != "" {
		return bad
	}
	if _, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return bad // what the parser says could quote the key
	}
	switch key.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
		return nil
	}
	return bad
}

// readSwitch reads a switch as the bot does, which takes more words than are written.
func readSwitch(value string) (on, ok bool) {
	switch strings.ToLower(value) {
	case "true", "1", "yes", "on", "t", "y":
		return true, true
	case "false", "0", "no", "off", "f", "n":
		return false, true
	}
	return false, false
}

// loosens says why going from one value to another may add exposure; empty when it
// does not. Nil is a value that is not known.
func (v Variable) loosens(from, to *string) string {
	switch {
	case v.Stricter == Neither:
		return ""
	case v.Stricter == Unclear:
		return "it is not known which way it is stricter"
	case to == nil:
		return "what the bot takes without it is not known: say it in Config.Defaults"
	case v.Stricter == On:
		is, ok := readSwitch(*to)
		if ok && is {
			return ""
		}
		if from != nil {
			if was, ok2 := readSwitch(*from); ok && ok2 && !was {
				return ""
			}
		}
		return "it turns off what protects"
	case from == nil:
		return "its present value is not known, so that it may be the stricter one: say it in Config.Defaults"
	}
	was, ok := v.number(*from)
	will, ok2 := v.number(*to)
	switch {
	case !ok || !ok2:
		return "its present or its coming value is not a number"
	case v.Stricter == Down && will.Cmp(was) > 0, v.Stricter == Up && will.Cmp(was) < 0:
		return fmt.Sprintf("from %s to %s", *from, *to)
	}
	return ""
}
