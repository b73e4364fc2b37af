package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/renewed"
	"github.com/ukdbg/ukdbg/agent/status"
)

// pages are the agent's own pages; nil is none.
type pages struct {
	server *status.Server
	files  []file
}

// serve opens the pages.
func (a *agent) serve(ctx context.Context, c *config.Config) (*pages, error) {
	l := c.Listen
	if l.Address == "" {
		return nil, nil
	}
	p := &pages{}
	opt := status.Options{Listen: l.Address, Metrics: a.metricsNow, Snapshot: a.page, Ready: a.ready}
	if l.CertFile != "" {
		cert, err := renewed.Read(func() (*tls.Certificate, error) { return certificate(l.CertFile, l.KeyFile) }, l.CertFile, l.KeyFile)
		if err != nil {
			return nil, err
		}
		opt.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.Get() }}
		p.files = append(p.files, cert)
	}
	if l.BearerFile != "" {
		token, err := renewed.Read(func() (string, error) {
			token, err := config.ReadSecret(l.BearerFile)
			if err == nil {
				err = status.CheckBearer(token)
			}
			return token, err
		}, l.BearerFile)
		if err != nil {
			return nil, err
		}
		opt.Bearer = func() string {
			token, _ := token.Get() // it was read once
			return token
		}
		p.files = append(p.files, token)
	}
	var err error
	p.server, err = status.Serve(ctx, opt)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// serveInstead opens the pages where those of before may be in the way: they had
// the same port, without a token. They are opened again if that fails.
func (a *agent) serveInstead(ctx context.Context, c, old *config.Config) (*pages, error) {
	if err := a.pages.close(); err != nil {
		a.log.printf("pages of before: %v", err)
	}
	a.pages = nil
	p, err := a.serve(ctx, c)
	if err != nil {
		back, berr := a.serve(ctx, old)
		a.pages, err = back, errors.Join(err, berr)
	}
	return p, err
}

func (p *pages) address() string {
	if p == nil {
		return ""
	}
	return p.server.Addr().String()
}

func (p *pages) close() error {
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return p.server.Close(ctx)
}

// ready says why the agent does not do yet what it is for.
func (a *agent) ready() error {
	a.fleet.mu.Lock()
	defer a.fleet.mu.Unlock()
	if a.fleet.scans == 0 {
		return errors.New("guests were not looked for yet")
	}
	return nil
}

// page is what the status page shows.
func (a *agent) page() status.Page {
	f := &a.fleet
	f.mu.Lock()
	p := status.Page{Host: hostname(), Version: a.opt.Version, Started: a.began, Now: time.Now(), Config: a.opt.File, Loaded: f.loaded}
	if f.badFile != "" {
		p.Problems = append(p.Problems, "the configuration's file is not in force: "+f.badFile)
	}
	cfg, out := f.cfg, f.out
	faults, files := slices.Clone(f.faults), f.files
	f.mu.Unlock()
	if cfg == nil {
		return p // asked before there is anything
	}
	slices.Reverse(faults)
	p.Faults = faults
	for _, x := range files {
		if err := x.Failing(); err != nil {
			p.Problems = append(p.Problems, err.Error())
		}
	}
	for _, g := range f.list() {
		p.Guests = append(p.Guests, g.row())
	}
	for _, r := range out.receivers {
		s := r.queue.Stats()
		q := status.Queue{Name: r.signal.String(), Receiver: r.name, Items: uint64(s.Waiting), Bytes: s.WaitingBytes, Limit: int64(cfg.Limits.Queue),
			Sent: uint64(s.Accepted), Retries: uint64(s.Retries), LastOK: s.LastTaken}
		for _, n := range s.Dropped {
			q.Dropped += uint64(n)
		}
		if !s.Away.IsZero() {
			q.Problem = s.LastError
			p.Problems = append(p.Problems, fmt.Sprintf("%s takes no %s since %s: %s", r.name, r.signal, s.Away.Format(time.TimeOnly), s.LastError))
		}
		if s.DiskError != "" {
			p.Problems = append(p.Problems, fmt.Sprintf("%s: %s wait in memory: %s", r.name, r.signal, s.DiskError))
		}
		p.Queues = append(p.Queues, q)
	}
	_, share, slow := a.self.used()
	note := ""
	if slow > 1 {
		note = fmt.Sprintf("work is done %.1f times more seldom", slow)
	}
	p.Budgets = []status.Budget{
		{Name: "CPU", Used: share, Limit: float64(cfg.Limits.CPU), Unit: "core", Note: note},
		{Name: "memory", Used: float64(rss()), Limit: float64(cfg.Limits.Memory), Unit: "By"},
	}
	if cfg.Traces.Enabled {
		waiting := f.room.Stats()
		p.Budgets = append(p.Budgets, status.Budget{Name: "spans that wait", Used: float64(waiting.Bytes), Limit: float64(waiting.Most), Unit: "By"})
		p.Budgets = append(p.Budgets, status.Budget{Name: "spans", Used: a.spans.rate(p.Now), Limit: cfg.Traces.SpansPerSecond, Unit: "/s"})
	}
	return p
}

// row is a guest's part of the page.
func (g *guest) row() status.Guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, spans := &g.counts, g.spanStats()
	r := status.Guest{
		Name: label(&g.host), Target: targetOf(&g.host), VMM: string(g.host.Kind), State: g.host.State, Arch: g.proc.Arch, PID: g.proc.PID, Since: g.found,
		Image:   status.Image{Hash: g.image.Hash, Name: g.image.Kernel, Debug: g.imagePath, How: g.image.How},
		Profile: g.last,
		Traces:  status.Traces{Records: n.Records, Lost: n.Lost, Spans: spans.Seen, Sent: spans.Kept},
		Stops:   status.Stops{Count: n.Stops, Total: n.Stopped, Longest: n.Longest},
		Faults:  n.Faults,
	}
	for _, w := range g.host.Ways {
		r.Ways = append(r.Ways, status.Way{Kind: string(w.Kind), Path: w.Path, Open: w.Open, Note: w.Note})
	}
	for f := range features {
		s := g.features[f]
		if s.Command != "" {
			r.Commands = append(r.Commands, status.Command{What: f.String(), Line: s.Command})
		}
		text := s.State
		if s.Detail != "" {
			text += ": " + s.Detail
		}
		switch {
		case f == featureConsole && s.State == "ok":
			r.Console = s.Detail
		case f == featureConsole:
			r.NoConsole = s.Detail
		case f == featureProfile && s.State != "ok":
			r.Profile.Note = text
		case f == featureTraces && s.State != "ok":
			r.Traces.Note = text
		}
		if s.State == "failed" || s.State == "unknown" {
			r.Problem = join(r.Problem, f.String()+" "+text)
		}
	}
	if g.console != nil {
		if trouble := g.console.trouble(); trouble != "" {
			r.Problem = join(r.Problem, "console: "+trouble)
		}
	}
	return r
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
