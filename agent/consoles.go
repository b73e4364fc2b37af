package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/console"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
)

// consoles follows the consoles of all guests, under one configuration.
type consoles struct {
	a       *agent
	cfg     *config.Console
	ctx     context.Context
	cancel  context.CancelFunc
	watcher *console.Watcher
	wg      sync.WaitGroup
}

// follower is one guest's console.
type follower struct {
	*console.Follower
	src console.Source
}

// remembered is what is kept beside a console's place, to tell of its last reports
// when the guest is gone and the agent was away.
type remembered struct {
	PID      int           `json:"pid"`
	Start    uint64        `json:"start"`
	Target   string        `json:"target"`
	Image    string        `json:"image,omitempty"`
	Resource otlp.Resource `json:"resource"`
}

func newConsoles(ctx context.Context, a *agent) *consoles {
	c := &consoles{a: a, cfg: &a.cfg.Console}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if c.cfg.Enabled {
		c.watcher = console.NewWatcher()
	}
	return c
}

// start follows a guest's console. It is called by the manager when the guest was
// looked at.
func (c *consoles) start(g *guest) {
	if g.console != nil || g.noConsole {
		return
	}
	if c.watcher == nil {
		g.noConsole = true
		g.set(featureConsole, outcome("off", "consoles are not followed", ""))
		return
	}
	g.mu.Lock()
	h, image := g.host, g.imagePath
	g.mu.Unlock()
	src, err := console.FindIn(c.a.host.Proc, &h)
	if err != nil {
		g.noConsole = true
		g.set(featureConsole, outcome("none", err.Error(), ""))
		return
	}
	meta, err := json.Marshal(remembered{g.proc.PID, g.proc.StartTime, targetOf(&h), image, g.about(c.a.cfg)})
	if err == nil {
		var f *console.Follower
		// What a guest wrote that came while we watched is all news.
		f, err = console.Follow(c.ctx, console.Options{
			Source: src, State: c.cfg.State, FromEnd: !c.cfg.FromStart && !g.started.After(c.a.began), Meta: meta, Watcher: c.watcher,
		})
		if err == nil {
			g.console = &follower{f, src}
		}
	}
	if err != nil {
		g.noConsole = true
		g.set(featureConsole, outcome("failed", err.Error(), ""))
		return
	}
	g.set(featureConsole, outcome("ok", src.Path, oneShot("crash", src.Path, image, "--follow")))
	f := g.console
	c.wg.Go(func() {
		c.read(f, func(fault console.Fault) {
			cfg, out, _ := c.a.fleet.now()
			g.mu.Lock()
			image, target := g.imagePath, targetOf(&g.host)
			g.counts.Faults += 1 + fault.Suppressed
			g.mu.Unlock()
			c.a.tellFault(c.ctx, out, g.about(cfg), target, image, &fault, cfg)
			// It may be dead by now.
			c.a.tell(func() { g.work[laneLook].due = time.Now() })
		})
	})
}

// stop reads what is left of the console of a guest that is gone.
func (c *consoles) stop(g *guest) {
	if g.console != nil {
		g.console.End()
	}
}

// read hands each report on until there are no more.
func (c *consoles) read(f *follower, hand func(console.Fault)) {
	for {
		fault, err := f.Next()
		switch {
		case err == nil:
			hand(fault)
			continue
		case errors.Is(err, io.EOF):
			err = f.Close()
		default:
			if cerr := f.Close(); errors.Is(err, context.Canceled) {
				err = cerr
			}
		}
		if err != nil {
			c.a.log.once("console "+f.src.Path, "console %s: %v", f.src.Path, err)
		}
		return
	}
}

// recall reads the rest of the consoles of guests that ended while nobody watched.
// there tells which guests are alive.
func (c *consoles) recall(there func(pid int, start uint64) bool) {
	if c.watcher == nil || c.cfg.State == "" {
		return
	}
	list, err := console.Recall(c.cfg.State)
	if err != nil {
		c.a.log.once("recall", "consoles of before: %v", err)
	}
	for _, r := range list {
		var m remembered
		if json.Unmarshal(r.Meta, &m) != nil || m.PID == 0 || there(m.PID, m.Start) {
			continue
		}
		f, err := console.Follow(c.ctx, console.Options{Source: r.Source, State: c.cfg.State, Meta: r.Meta, Watcher: c.watcher})
		if err != nil {
			c.a.log.once("console "+r.Source.Path, "console %s: %v", r.Source.Path, err)
			continue
		}
		f.End()
		c.wg.Go(func() {
			c.read(&follower{f, r.Source}, func(fault console.Fault) {
				cfg, out, _ := c.a.fleet.now()
				c.a.tellFault(c.ctx, out, m.Resource, m.Target, m.Image, &fault, cfg)
			})
		})
	}
}

// close ends the following; the places are remembered.
func (c *consoles) close() error {
	if c == nil {
		return nil
	}
	c.cancel()
	c.wg.Wait()
	if c.watcher == nil {
		return nil
	}
	return c.watcher.Close()
}

// tellFault makes a log record of a fault and hands it on.
func (a *agent) tellFault(ctx context.Context, out *outputs, res otlp.Resource, target, image string, f *console.Fault, cfg *config.Config) {
	record, row := a.faultRecord(ctx, f, image)
	row.Guest, row.Command = res.ServiceName, oneShot("crash", f.Path, image)
	record.Attrs = redactAttrs(record.Attrs, cfg.Redact)
	out.logs(ctx, res, []exporters.LogRecord{record})
	a.fleet.mu.Lock()
	if a.fleet.faults = append(a.fleet.faults, row); len(a.fleet.faults) > maxFaults {
		a.fleet.faults = a.fleet.faults[1:]
	}
	a.fleet.mu.Unlock()
	a.log.printf("fault: %s: %s (%s) %s", res.ServiceName, row.Text, row.Fingerprint, row.Where)
}

// maxFaults is how many faults the status page remembers.
const maxFaults = 50

// severityFatal is OpenTelemetry's FATAL.
const severityFatal = 21

// faultRecord is a fault in OpenTelemetry's words. The image gives names; contents
// of memory that the report shows are left out.
func (a *agent) faultRecord(ctx context.Context, f *console.Fault, image string) (exporters.LogRecord, status.Fault) {
	fault := f.Report
	r := exporters.LogRecord{Observed: f.At, Severity: severityFatal, Event: "ukdbg.guest.fault", ID: f.ID}
	row := status.Fault{At: f.At, Kind: string(fault.Kind), Fingerprint: f.Fingerprint}
	var stack strings.Builder
	rep, err := a.named(ctx, f, image)
	if err == nil {
		fault = rep.Fault
		row.Fingerprint = fault.Fingerprint(rep.Functions)
		for i, fr := range rep.Stack {
			fmt.Fprintf(&stack, "#%d %s", i, fr.Function)
			if fr.File != "" {
				fmt.Fprintf(&stack, " (%s:%d)", fr.File, fr.Line)
			}
			stack.WriteByte('\n')
			if i == 0 {
				row.Where = strings.TrimSpace(stack.String())
			}
		}
	} else {
		for i, c := range fault.Backtrace {
			fmt.Fprintf(&stack, "#%d %#x\n", i, c.Addr)
		}
	}
	row.Text = fault.Reason
	if fault.Cause.Text != "" {
		row.Text = fault.Cause.Text
	}
	if row.Text == "" {
		row.Text = row.Kind
	}
	r.Body = row.Text
	r.Attrs = []exporters.Attr{
		exporters.String("exception.type", string(fault.Kind)), exporters.String("exception.message", row.Text),
		exporters.String("exception.stacktrace", stack.String()), exporters.String("ukdbg.fault.fingerprint", row.Fingerprint),
	}
	for _, at := range []struct{ key, v string }{
		{"ukdbg.fault.subkind", fault.Subkind}, {"thread.name", fault.Thread}, {"log.file.path", f.Path},
	} {
		if at.v != "" {
			r.Attrs = append(r.Attrs, exporters.String(at.key, at.v))
		}
	}
	if fault.Address.Known {
		r.Attrs = append(r.Attrs, exporters.Pointer("ukdbg.fault.address", fault.Address.V))
	}
	if fault.GuestTime.Known {
		r.Attrs = append(r.Attrs, exporters.Uint("ukdbg.guest.uptime_us", fault.GuestTime.V))
	}
	if f.Suppressed > 0 {
		r.Attrs = append(r.Attrs, exporters.Uint("ukdbg.fault.suppressed", f.Suppressed))
	}
	return r, row
}

// named gives a report the names of the guest's image.
func (a *agent) named(ctx context.Context, f *console.Fault, image string) (rep ukdbg.FaultReport, err error) {
	if image == "" {
		return rep, errNoImage
	}
	ctx, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	s, err := ukdbg.OpenImage(ctx, ukdbg.Options{Image: image, Images: a.images, CacheDir: a.opt.CacheDir})
	if err != nil {
		return rep, err
	}
	defer s.Close(context.WithoutCancel(ctx))
	return s.NameFault(f.Report)
}

const nameLimit = 10 * time.Second
