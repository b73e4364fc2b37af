package status

import (
	"fmt"
	"strings"
)

// guest writes one guest: a line, and what it opens.
func (m *markup) guest(p *Page, g *Guest) {
	m.raw("<details")
	if len(p.Guests) <= openUpTo || g.Problem != "" {
		m.raw(" open")
	}
	m.put(html(`><summary><span class="name">`), named(g))
	if g.State != "" {
		m.put(html(`<span class="state `), when(g.State == "running", "good"), html(`">`), g.State, html("</span>"))
	}
	m.put(html(`</span><span class="soft">`), strings.Join(filled(g.VMM, g.Arch, pid(g)), " · "), html("</span><span>"))
	switch {
	case len(g.Profile.Top) > 0:
		m.put(html("<code>"), g.Profile.Top[0].Name, html("</code> "), percent(g.Profile.Top[0].Share))
	case g.Image.Debug == "":
		m.raw(`<span class="warn">no debug information</span>`)
	}
	m.raw(`</span><span class="facts">`)
	if g.Faults > 0 {
		m.put(html(`<span class="bad">`), plural(g.Faults, "fault"), html("</span>"))
	}
	if g.Console == "" {
		m.raw(`<span class="warn">no console</span>`)
	}
	if g.Stops.Count > 0 {
		m.put(html("<span>held "), span(g.Stops.Total), html("</span>"))
	}
	m.raw("</span></summary><div class=\"inside\">")
	if g.Problem != "" {
		m.put(html(`<p class="wide bad">`), g.Problem, html("</p>"))
	}
	m.identity(p, g)
	m.profile(p, g)
	m.ways(g)
	m.commands(g)
	m.raw("</div></details>\n")
}

func named(g *Guest) string {
	if g.Name != "" {
		return g.Name
	}
	return g.Target
}

func pid(g *Guest) string {
	if g.PID == 0 {
		return ""
	}
	return fmt.Sprint("process ", g.PID)
}

func filled(words ...string) (out []string) {
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func (m *markup) identity(p *Page, g *Guest) {
	m.raw("<section><h3>Guest</h3><dl>")
	m.row("target", g.Target)
	if !g.Since.IsZero() {
		m.row("seen", ago(p.Now, g.Since))
	}
	m.row("image", g.Image.Name)
	m.row("image hash", g.Image.Hash)
	if g.Image.Debug == "" {
		m.raw(`<dt>debug info</dt><dd class="warn">not found: put the .dbg that has this hash into an image folder</dd>`)
	} else {
		m.row("debug info", g.Image.Debug)
	}
	m.row("recognised", g.Image.How)
	if g.Console != "" {
		m.row("console", g.Console)
	} else {
		m.put(html(`<dt>console</dt><dd class="warn">none: `), strings.TrimPrefix(g.NoConsole, "console=none: "), html("</dd>"))
	}
	t := g.Traces
	switch {
	case t.Records+t.Spans+t.Lost > 0:
		m.row("traces", fmt.Sprintf("%s, %d lost · %s, %d sent", plural(t.Records, "record"), t.Lost, plural(t.Spans, "span"), t.Sent))
	case t.Note != "":
		m.row("traces", "none: "+t.Note)
	}
	if s := g.Stops; s.Count > 0 {
		m.row("held", fmt.Sprintf("%s in %s, the longest %s", span(s.Total), plural(s.Count, "stop"), span(s.Longest)))
	} else {
		m.row("held", "never")
	}
	m.raw("</dl></section>")
}

func (m *markup) profile(p *Page, g *Guest) {
	f := &g.Profile
	m.raw("<section><h3>Last profile</h3>")
	if f.At.IsZero() {
		note := f.Note
		if note == "" {
			note = "none yet"
		}
		m.put(html(`<p class="soft">`), note, html("</p></section>"))
		return
	}
	m.put(html(`<p class="soft">`), f.Kind, html(", "), plural(f.Samples, "sample"), html(" in "), span(f.Duration), html(", "), ago(p.Now, f.At))
	if f.Idle > 0 {
		m.put(html(" · idle "), percent(f.Idle))
	}
	m.raw("</p><div class=\"top\">")
	for _, fn := range f.Top {
		m.put(html("<span>"), percent(fn.Share), html("</span>"))
		m.bar(fn.Share, "")
		m.put(html("<code>"), fn.Name, html("</code>"))
	}
	m.raw("</div>")
	if f.Note != "" {
		m.put(html(`<p class="soft">`), f.Note, html("</p>"))
	}
	m.raw("</section>")
}

func (m *markup) ways(g *Guest) {
	if len(g.Ways) == 0 {
		return
	}
	m.raw("<section><h3>Ways to it</h3><dl>")
	for _, w := range g.Ways {
		state := html(`<span class="warn">closed</span> `)
		if w.Open {
			state = `<span class="good">open</span> `
		}
		m.put(html("<dt>"), w.Kind, html("</dt><dd>"), state, strings.Join(filled(w.Path, w.Note), " · "), html("</dd>"))
	}
	m.raw("</dl></section>")
}

func (m *markup) commands(g *Guest) {
	if len(g.Commands) == 0 {
		return
	}
	m.raw("<section><h3>The same by hand, once</h3><ul class=\"commands\">")
	for _, c := range g.Commands {
		m.put(html("<li>"), c.What, html("<code>"), c.Line, html("</code></li>"))
	}
	m.raw("</ul></section>")
}
