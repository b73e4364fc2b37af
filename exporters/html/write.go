package html

import (
	"bufio"
	"crypto/sha256"
	_ "embed" // the page's script and style
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/folded"
)

//go:embed common.js
var common string

//go:embed trace.js
var traceScript string

//go:embed flame.js
var flameScript string

//go:embed page.css
var style string

// Options say how much of a trace the page holds.
type Options struct {
	// MaxSpans is how many spans the timeline shows, 20,000 if 0; MaxInstants
	// how many other records, 5,000 if 0.
	MaxSpans, MaxInstants int
}

// Write writes the page.
func Write(w io.Writer, t exporters.Trace, opt Options) error {
	if opt.MaxSpans == 0 {
		opt.MaxSpans = 20_000
	}
	if opt.MaxInstants == 0 {
		opt.MaxInstants = 5_000
	}
	d := newData(opt)
	tree, err := folded.Build(d.watch(t.Spans), folded.Options{})
	if err != nil {
		return fmt.Errorf("writing an HTML page: %w", err)
	}
	if err := d.instants(t.Instants); err != nil {
		return fmt.Errorf("writing an HTML page: %w", err)
	}
	name := t.Process
	if name == "" {
		name = "guest"
	}
	return page(w, name+" · ukdbg trace", d.encode(name, t.Clock, tree), common+traceScript)
}

// page writes a page that a script draws from data.
func page(w io.Writer, title string, data []byte, script string) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '%s'; style-src '%s'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<title>%s</title>
<style>%s</style></head><body>
<script type="application/json" id="data">`, hash(script), hash(style), escape(title), style)
	if _, err := out.Write(data); err != nil {
		return fmt.Errorf("writing an HTML page: %w", err)
	}
	fmt.Fprintf(out, "</script>\n<noscript>This page draws with JavaScript.</noscript>\n<script>%s</script></body></html>\n", script)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing an HTML page: %w", err)
	}
	return nil
}

// hash is how a security policy names a script or a style.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// escape makes text of the guest's bytes.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s)
}
