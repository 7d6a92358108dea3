package postmortem

import (
	"bytes"
	"fmt"
	"html"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

// HTML returns the report as one page that needs nothing else: the Markdown, with the
// timeline drawn. It has no script, its policy forbids any, and HTML that somebody wrote
// into the report is left out.
func (r Report) HTML() (string, error) {
	md := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	text := between.ReplaceAllString(r.Markdown(), "$3")
	text = sealLine.ReplaceAllString(text, "")
	var body bytes.Buffer
	if err := md.Convert([]byte(text), &body); err != nil {
		return "", fmt.Errorf("post-mortem %s as HTML: %w", r.Incident.Number, err)
	}
	before, after, ok := strings.Cut(body.String(), ">Timeline</h3>\n")
	if !ok {
		return "", fmt.Errorf("post-mortem %s as HTML: the heading of the timeline is missing", r.Incident.Number)
	}
	title := html.EscapeString(clean(r.Incident.Number))
	return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Post-Mortem ` + title + `</title>
<style>` + pageStyle + `</style>
</head>
<body>
<main>
` + before + ">Timeline</h3>\n<figure tabindex=\"0\" aria-label=\"Timeline, drawn\">\n" + r.SVG() +
		"<figcaption>Seconds, minutes and hours since the signal, on a logarithmic scale. A cross is what did not succeed.</figcaption>\n</figure>\n" + after + `</main>
</body>
</html>
`, nil
}

const pageStyle = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;background:Canvas;color:CanvasText}` +
	`main{max-width:60rem;margin:0 auto;padding:1rem}h1,h2,h3{line-height:1.2}h2{border-bottom:1px solid #8888;padding-bottom:.2rem;margin-top:2.5rem}` +
	`table{border-collapse:collapse;display:block;overflow-x:auto;max-width:100%}th,td{border:1px solid #8888;padding:.3rem .6rem;text-align:left;vertical-align:top}` +
	`blockquote{margin:1rem 0;padding:.1rem 1rem;border-left:.3rem solid #a84b00}figure{margin:1rem 0;overflow-x:auto}figcaption{font-size:.875rem}` +
	`code{overflow-wrap:anywhere}@media print{main{max-width:none}table,figure{break-inside:avoid}}`
