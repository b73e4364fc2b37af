package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/console"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
)

// consoles follows the consoles of all guests, under one configuration. Its methods
// are the manager's.
type consoles struct {
	a       *agent
	cfg     config.Console
	ctx     context.Context
	cancel  context.CancelFunc
	watcher *console.Watcher
	places  *console.Places // where they were left, if there is no folder for it
	wg      sync.WaitGroup
	// rest are the logs that are read to their end for guests that are gone.
	rest map[string]*rest
}

// rest is the reading of a log's rest.
type rest struct {
	readers int
	// waiting are the guests that write into the log now. Their turn comes when the
	// rest is read: two who follow one log with one place would tell reports twice.
	waiting []next
}

// next is a guest whose console is to be followed.
type next struct {
	g   *guest
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

func newConsoles(ctx context.Context, a *agent, places *console.Places) *consoles {
	c := &consoles{a: a, cfg: a.cfg.Console, places: places, rest: map[string]*rest{}}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if c.cfg.Enabled {
		c.watcher = console.NewWatcher()
	}
	return c
}

// start follows a guest's console, as soon as the guest is found: it may die before it
// could be looked at. It is called again and again until there is one: until the guest
// was looked at each time guests are looked for, then with each look, as a log may
// come later.
func (c *consoles) start(g *guest) {
	if g.console != nil {
		return
	}
	if c.watcher == nil {
		g.noConsole = true
		g.set(featureConsole, outcome("off", "consoles are not followed", ""))
		return
	}
	g.mu.Lock()
	h, looked := g.host, g.looked
	g.mu.Unlock()
	src, err := console.FindIn(c.a.host.Proc, &h)
	if err != nil {
		if g.noConsole = looked; looked {
			g.set(featureConsole, outcome("none", err.Error(), ""))
		}
		return
	}
	g.noConsole = false
	if r := c.rest[src.Path]; r != nil {
		if !slices.ContainsFunc(r.waiting, func(n next) bool { return n.g == g }) {
			r.waiting = append(r.waiting, next{g, src})
		}
		return
	}
	c.follow(g, src)
}

// follow follows a guest's console.
func (c *consoles) follow(g *guest, src console.Source) {
	f := newFollower(src)
	g.setConsole(f)
	// What a guest wrote that came while we watched is all news.
	opt := c.options(src, c.meta(g))
	opt.FromEnd = !c.cfg.FromStart && !g.started.After(c.a.began)
	c.wg.Go(func() {
		err := f.run(c.ctx, opt, func() { c.shown(g, f) }, func(fault console.Fault) {
			cfg, _, _ := c.a.fleet.now()
			g.mu.Lock()
			target := targetOf(&g.host)
			g.counts.Faults += 1 + fault.Suppressed
			g.mu.Unlock()
			c.a.tellFault(c.ctx, g.about(cfg), target, g.likelyImage(), &fault, cfg)
			// It may be dead by now.
			c.a.tell(func() { g.work[laneLook].due = time.Now() })
		})
		c.a.tell(func() { c.ended(g, f, err) })
	})
}

// options are how a console is followed.
func (c *consoles) options(src console.Source, meta json.RawMessage) console.Options {
	return console.Options{Source: src, State: c.cfg.State, Places: c.places, Meta: meta, Watcher: c.watcher}
}

// ended notes that nothing more is read of a guest's console.
func (c *consoles) ended(g *guest, f *follower, err error) {
	if err != nil {
		c.a.log.once("console "+f.src.Path, "console %s: %v", f.src.Path, err)
	}
	switch {
	case f.over:
		c.restRead(f.src.Path)
	case g.console == f && c.ctx.Err() == nil:
		g.setConsole(nil)
		g.noConsole = true // until the next look
		g.set(featureConsole, outcome("failed", fmt.Sprint(err), ""))
	}
}

// meta is what is remembered of a guest beside its console's place.
func (c *consoles) meta(g *guest) json.RawMessage {
	g.mu.Lock()
	target := targetOf(&g.host)
	g.mu.Unlock()
	meta, err := json.Marshal(remembered{g.proc.PID, g.proc.StartTime, target, g.likelyImage(), g.about(c.a.cfg)})
	if err == nil && len(meta) > console.MaxMeta {
		err = console.ErrOversize
	}
	if err != nil {
		c.a.log.once(g.topic("console"), "%s: faults that come while the agent is away will not be told: %v", g.name(), err)
		return nil
	}
	return meta
}

// looked takes over what a look found out of a guest whose console is followed.
func (c *consoles) looked(g *guest) {
	if g.console == nil {
		c.start(g)
		return
	}
	g.console.setMeta(c.meta(g))
	c.shown(g, g.console)
}

// shown notes that a guest's console is followed.
func (c *consoles) shown(g *guest, f *follower) {
	g.set(featureConsole, outcome("ok", f.src.Path, oneShot("crash", f.src.Path, g.likelyImage(), "--follow")))
}

// tend looks after a guest's console each time guests are looked for.
func (c *consoles) tend(g *guest) {
	if g.console == nil {
		if !g.noConsole {
			c.start(g)
		}
		return
	}
	trouble := g.console.trouble()
	if trouble == g.console.told {
		return
	}
	g.console.told = trouble
	if trouble == "" {
		trouble = "all is well again"
	}
	c.a.log.printf("%s: console: %s", g.name(), trouble)
}

// stop reads what is left of the console of a guest that is gone.
func (c *consoles) stop(g *guest) {
	if g.console == nil {
		c.start(g) // the last chance
	}
	if f := g.console; f != nil && !f.over {
		c.readRest(f.src.Path)
		f.end()
	}
}

// readRest notes that the rest of a log is read, restRead that it was.
func (c *consoles) readRest(path string) {
	if c.rest[path] == nil {
		c.rest[path] = &rest{}
	}
	c.rest[path].readers++
}

func (c *consoles) restRead(path string) {
	r := c.rest[path]
	if r == nil {
		return
	}
	if r.readers--; r.readers > 0 || c.ctx.Err() != nil {
		return
	}
	delete(c.rest, path)
	for _, n := range r.waiting {
		if n.g.console != nil {
			continue
		}
		c.follow(n.g, n.src)
		n.g.mu.Lock()
		gone := n.g.gone
		n.g.mu.Unlock()
		if gone {
			c.stop(n.g)
		}
	}
}

// recallAtOnce is how many logs of guests that ended before are read at a time.
const recallAtOnce = 8

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
	places := make(chan struct{}, recallAtOnce)
	for _, r := range list {
		var m remembered
		if json.Unmarshal(r.Meta, &m) != nil || m.PID == 0 || there(m.PID, m.Start) {
			continue
		}
		f := newFollower(r.Source)
		c.readRest(r.Source.Path)
		f.end()
		c.wg.Go(func() {
			select {
			case places <- struct{}{}:
			case <-c.ctx.Done():
				return
			}
			err := f.run(c.ctx, c.options(r.Source, r.Meta), func() {}, func(fault console.Fault) {
				cfg, _, _ := c.a.fleet.now()
				c.a.tellFault(c.ctx, m.Resource, m.Target, m.Image, &fault, cfg)
			})
			<-places
			c.a.tell(func() { c.ended(nil, f, err) })
		})
	}
}

// prune removes what is remembered of logs that are long gone.
func (c *consoles) prune() {
	if c.watcher == nil || c.cfg.State == "" {
		return
	}
	c.wg.Go(func() {
		if _, err := console.Recall(c.cfg.State); err != nil {
			c.a.log.once("recall", "consoles of before: %v", err)
		}
	})
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
func (a *agent) tellFault(ctx context.Context, res otlp.Resource, target, image string, f *console.Fault, cfg *config.Config) {
	record, row := a.faultRecord(ctx, f, image)
	row.Guest, row.Command = res.ServiceName, oneShot("crash", f.Path, image)
	record.Attrs = redactAttrs(record.Attrs, cfg.Redact)
	a.fleet.send(func(out *outputs) { out.logs(ctx, res, []exporters.LogRecord{record}) })
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

// faultRecord is a fault in OpenTelemetry's words. The image gives names and the cause;
// contents of memory that the report shows are left out.
func (a *agent) faultRecord(ctx context.Context, f *console.Fault, image string) (exporters.LogRecord, status.Fault) {
	fault := f.Report
	r := exporters.LogRecord{Observed: f.At, Severity: severityFatal, Event: "ukdbg.guest.fault", ID: f.ID}
	row := status.Fault{At: f.At, Kind: string(fault.Kind), Fingerprint: f.Fingerprint}
	var stack strings.Builder
	rep, err := a.explained(ctx, f, image)
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
	if fault.Cause.Public != "" {
		row.Text = fault.Cause.Public
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
	if _, text := asserts.TextBytes(fault.Address.V); fault.Address.Known && !text {
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

// explained explains a report by the guest's image, as the verb crash does.
func (a *agent) explained(ctx context.Context, f *console.Fault, image string) (rep ukdbg.FaultReport, err error) {
	if image == "" {
		return rep, errNoImage
	}
	ctx, cancel := context.WithTimeout(ctx, explainLimit)
	defer cancel()
	s, err := ukdbg.OpenImage(ctx, ukdbg.Options{Image: image, Images: a.images, CacheDir: a.opt.CacheDir})
	if err != nil {
		return rep, err
	}
	defer s.Close(context.WithoutCancel(ctx))
	return s.PrintedFault(ctx, f.Report)
}

const explainLimit = 10 * time.Second
