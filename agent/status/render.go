package status

import (
	_ "embed"
	"fmt"
	"time"
)

//go:embed style.css
var style []byte

// Limits of one page.
const (
	maxGuests = 500
	maxFaults = 200
	// openUpTo is with how many guests all of them are shown in full at once.
	openUpTo = 3
)

// Render returns the page as HTML.
func Render(p *Page) []byte {
	var m markup
	m.put(html("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"+
		"<meta name=\"color-scheme\" content=\"light dark\"><title>"), p.Host, html(" · ukdbg agent</title><link rel=\"stylesheet\" href=\"style.css\"></head>\n<body>\n"))
	m.put(html("<header><h1>"), p.Host, html("</h1><p class=\"soft\">ukdbg agent "), p.Version)
	if !p.Started.IsZero() {
		m.put(html(" · up "), span(p.Now.Sub(p.Started)))
	}
	if p.Config != "" {
		m.put(html(" · configured by "), p.Config)
		if !p.Loaded.IsZero() {
			m.put(html(", read "), ago(p.Now, p.Loaded))
		}
	}
	m.put(html(" · as of "), p.Now.UTC().Format("2006-01-02 15:04:05 UTC"), html("</p></header>\n"))
	m.tiles(p)
	if len(p.Problems) > 0 {
		m.raw("<ul class=\"problems\">")
		for _, s := range p.Problems {
			m.put(html("<li>"), s, html("</li>"))
		}
		m.raw("</ul>\n")
	}
	m.faults(p)
	m.raw("<main><h2>Guests</h2>\n")
	if len(p.Guests) == 0 {
		m.raw("<p class=\"empty\">No guest is running here. One that starts is seen within five seconds.</p>\n")
	}
	for i := range p.Guests[:min(len(p.Guests), maxGuests)] {
		m.guest(p, &p.Guests[i])
	}
	if more := len(p.Guests) - maxGuests; more > 0 {
		m.put(html("<p class=\"soft\">"), more, html(" more are in <a href=\"status.json\">status.json</a>.</p>\n"))
	}
	m.raw("</main>\n")
	m.queues(p)
	m.budgets(p)
	m.raw("<footer>Nothing can be changed here. <a href=\"metrics\">metrics</a> · <a href=\"status.json\">status.json</a></footer>\n</body></html>\n")
	return m.b.Bytes()
}

// tiles sum up.
func (m *markup) tiles(p *Page) {
	running, silent, unknown := 0, 0, 0
	var faults uint64
	var stopped time.Duration
	for i := range p.Guests {
		g := &p.Guests[i]
		if g.State == "running" {
			running++
		}
		if g.Console == "" {
			silent++
		}
		if g.Image.Debug == "" {
			unknown++
		}
		faults += g.Faults
		stopped += g.Stops.Total
	}
	tile := func(class html, value, what string) {
		m.put(html(`<div class="tile"><b class="`), class, html(`">`), value, html("</b>"), what, html("</div>"))
	}
	m.raw("<section class=\"tiles\" aria-label=\"Summary\">")
	what := "guests, all running"
	if running < len(p.Guests) {
		what = fmt.Sprintf("guests, %d running", running)
	} else if len(p.Guests) == 0 {
		what = "guests"
	}
	tile("", fmt.Sprint(len(p.Guests)), what)
	tile(when(faults > 0, "bad"), fmt.Sprint(faults), "faults reported")
	if unknown > 0 {
		tile("warn", fmt.Sprint(unknown), "without debug information")
	}
	if silent > 0 {
		tile("warn", fmt.Sprint(silent), "without a readable console")
	}
	tile("", span(stopped), "guests held in all")
	for _, b := range p.Budgets {
		if b.Limit > 0 && (b.Name == "CPU" || b.Name == "memory") {
			tile(when(b.Used > b.Limit, "bad"), quantity(b.Used, b.Unit), b.Name+" of "+quantity(b.Limit, b.Unit))
		}
	}
	m.raw("</section>\n")
}

func when(is bool, class html) html {
	if is {
		return class
	}
	return ""
}

func (m *markup) faults(p *Page) {
	if len(p.Faults) == 0 {
		return
	}
	m.raw("<h2>Latest faults</h2><div class=\"scroll\"><table><tr><th>When<th>Guest<th>What<th>Fingerprint</tr>")
	for _, f := range p.Faults[:min(len(p.Faults), maxFaults)] {
		m.put(html(`<tr><td class="l">`), ago(p.Now, f.At), html(`<td class="l">`), f.Guest, html(`<td class="t"><b>`), f.Kind, html("</b> "), f.Text)
		if f.Where != "" {
			m.put(html(`<br><span class="soft">`), f.Where, html("</span>"))
		}
		if f.Command != "" {
			m.put(html(`<ul class="commands"><li><code>`), f.Command, html("</code></ul>"))
		}
		m.put(html(`</td><td class="l"><code>`), f.Fingerprint, html("</code></tr>"))
	}
	m.raw("</table></div>\n")
}

func (m *markup) queues(p *Page) {
	if len(p.Queues) == 0 {
		return
	}
	m.raw("<h2>What is sent</h2><div class=\"scroll\"><table><tr><th>Queue<th>Receiver<th class=\"n\">Waiting<th>Filled<th class=\"n\">Sent<th class=\"n\">Dropped<th class=\"n\">Retries<th>State</tr>")
	for _, q := range p.Queues {
		m.put(html(`<tr><td class="l">`), q.Name, html(`<td class="t">`), q.Receiver, html(`<td class="n">`), q.Items, html("<td>"))
		if q.Limit > 0 {
			share := float64(q.Bytes) / float64(q.Limit)
			m.bar(share, when(share > 0.9, " full"))
			m.put(html(`<span class="soft">`), size(float64(q.Bytes))+" of "+size(float64(q.Limit)), html("</span>"))
		}
		m.put(html(`<td class="n">`), q.Sent, html(`<td class="n `), when(q.Dropped > 0, "bad"), html(`">`), q.Dropped, html(`<td class="n">`), q.Retries)
		switch {
		case q.Problem != "":
			m.put(html(`<td class="t bad">`), q.Problem)
		case q.LastOK.IsZero():
			m.raw(`<td class="soft">nothing sent yet`)
		default:
			m.put(html(`<td class="l good">taken `), ago(p.Now, q.LastOK))
		}
		m.raw("</tr>")
	}
	m.raw("</table></div>\n")
}

func (m *markup) budgets(p *Page) {
	if len(p.Budgets) == 0 {
		return
	}
	m.raw("<h2>Budgets</h2><div class=\"scroll\"><table><tr><th>Of<th class=\"n\">Used<th class=\"n\">Limit<th><th></tr>")
	for _, b := range p.Budgets {
		m.put(html(`<tr><td class="l">`), b.Name, html(`<td class="n">`), quantity(b.Used, b.Unit), html(`<td class="n">`))
		if b.Limit > 0 {
			m.put(quantity(b.Limit, b.Unit), html("<td>"))
			m.bar(b.Used/b.Limit, when(b.Used > b.Limit, " full"))
		} else {
			m.raw("none<td>")
		}
		m.put(html(`<td class="t soft">`), b.Note, html("</tr>"))
	}
	m.raw("</table></div>\n")
}
