package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/renewed"
	"github.com/ukdbg/ukdbg/vmm"
)

const (
	// lookEvery is how often the run state of a guest is asked for that shows no
	// change, lookBusy that of one that runs, lookKept that of one that is to be kept
	// when it dies.
	lookEvery = time.Minute
	lookBusy  = 10 * time.Second
	lookKept  = 3 * time.Second
	// proveAfter is how soon after the first look the next one may come.
	proveAfter = time.Second
	// lookTimes is how many answers of a monitor one look may wait for.
	lookTimes = 6
	// quietTrace is how often the traces of a guest are read, at most, that seems not to
	// run: rings that fill faster when it does again lose what came first.
	quietTrace = time.Second
	// longestPause is the longest pause after failures.
	longestPause = 5 * time.Minute
	// pruneEvery is how often is tidied up what is remembered of consoles.
	pruneEvery = time.Hour
	// fileEvery is how often the configuration's file is looked at, and those with
	// certificates and tokens.
	fileEvery = 2 * time.Second
)

// manage looks for guests and gives out work until ctx ends.
func (a *agent) manage(ctx context.Context) error {
	var scanned, sent, filed time.Time
	pruned := time.Now()
	file := renewed.Stamp(a.opt.File)
	for {
		for _, f := range a.fleet.takeTold() {
			f()
		}
		now := time.Now()
		if now.Sub(scanned) >= a.cfg.Guests.Every {
			scanned = now
			if err := a.find(ctx, now); err != nil && ctx.Err() == nil {
				a.log.once("scan", "looking for guests: %v", err)
			}
			a.self.measure(now, float64(a.cfg.Limits.CPU))
			a.out.tell()
		}
		if now.Sub(pruned) >= pruneEvery {
			pruned = now
			a.console.prune()
		}
		if now.Sub(filed) >= fileEvery {
			filed = now
			if f := renewed.Stamp(a.opt.File); f != file {
				file = f
				a.reload(ctx)
			}
			a.renew()
		}
		if now.Sub(sent) >= a.cfg.Export.Every {
			if !sent.IsZero() {
				a.out.metrics(a.metrics(now), a.resource())
			}
			sent = now
		}
		next := a.give(ctx, now)
		for _, t := range []time.Time{scanned.Add(a.cfg.Guests.Every), sent.Add(a.cfg.Export.Every), filed.Add(fileEvery)} {
			if t.Before(next) {
				next = t
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.opt.Reload:
			file = renewed.Stamp(a.opt.File)
			a.reload(ctx)
		case <-a.wake:
		case <-time.After(max(time.Until(next), time.Millisecond)):
		}
	}
}

// reload takes over the file's configuration, if it is a good one.
func (a *agent) reload(ctx context.Context) {
	if a.opt.File == "" {
		return
	}
	c, err := a.opt.Load()
	if err == nil {
		err = a.adopt(ctx, c)
	}
	a.fleet.reloaded(err)
	if err != nil {
		a.log.printf("configuration: %v; what was in force stays", err)
		return
	}
	a.log.printf("configuration read again: %s", a.summary())
}

// find brings the fleet up to date.
func (a *agent) find(ctx context.Context, now time.Time) error {
	list, err := a.scanner.scan(ctx, now)
	if err != nil {
		return err
	}
	there := make(map[key]*process, len(list))
	changed := false
	for _, p := range list {
		k := key{p.vmm.PID, p.start}
		there[k] = p
		g := a.fleet.byKey[k]
		if g != nil && !sameGuest(&g.proc, p.vmm) {
			// The process became another program, or was given another name.
			a.lose(k, g)
			g = nil
		}
		changed = changed || g == nil
	}
	for k, g := range a.fleet.byKey {
		if there[k] == nil {
			a.lose(k, g)
			changed = true
		}
	}
	if changed || a.rename {
		a.rename = false
		a.name(ctx, list)
	}
	for _, g := range a.fleet.byKey {
		p := there[key{g.proc.PID, g.proc.StartTime}]
		if p == nil {
			continue
		}
		if p.cpu != g.cpu {
			if g.quiet > 0 {
				g.work[laneLook].due = now // what is it doing now?
			}
			g.quiet = 0
		} else {
			if g.quiet++; g.quiet == 2 {
				g.work[laneLook].due = now
			}
		}
		g.cpu = p.cpu
		g.mu.Lock()
		g.vmmCPU = p.cpu
		g.mu.Unlock()
	}
	if !a.recalled {
		a.recalled = true
		a.console.recall(func(pid int, start uint64) bool { return there[key{pid, start}] != nil })
	}
	for _, g := range a.fleet.byKey {
		a.console.tend(g)
	}
	a.fleet.mu.Lock()
	a.fleet.scans++
	a.fleet.mu.Unlock()
	return nil
}

// sameGuest reports whether a process is what it was.
func sameGuest(was, is *vmm.Process) bool {
	if len(was.Args) != len(is.Args) {
		return false
	}
	for i := range was.Args {
		if was.Args[i] != is.Args[i] {
			return false
		}
	}
	return true
}

// lose lets go of a guest that is gone.
func (a *agent) lose(k key, g *guest) {
	a.fleet.mu.Lock()
	delete(a.fleet.byKey, k)
	a.fleet.mu.Unlock()
	g.mu.Lock()
	g.gone = true
	name := label(&g.host)
	g.mu.Unlock()
	a.console.stop(g)
	a.release(g)
	a.log.forget(g.topic(""))
	a.log.printf("gone: %s", name)
}

// name makes guests of the VMMs, with the names their managers gave them.
func (a *agent) name(ctx context.Context, list []*process) {
	procs := make([]vmm.Process, len(list))
	for i, p := range list {
		procs[i] = *p.vmm
	}
	ignored := 0
	cpu := map[key]time.Duration{}
	for _, p := range list {
		cpu[key{p.vmm.PID, p.start}] = p.cpu
	}
	for _, h := range a.host.Guests(ctx, procs) {
		k := key{h.PID, h.StartTime}
		g := a.fleet.byKey[k]
		if !wanted(&a.cfg.Guests, label(&h)) {
			ignored++
			if g != nil {
				a.lose(k, g)
			}
			continue
		}
		if g != nil {
			g.mu.Lock()
			g.host.Name, g.host.Target = h.Name, h.Target
			g.mu.Unlock()
			continue
		}
		g = &guest{found: time.Now(), proc: h.Process, host: h, instance: ukdbg.Instance(&h.Process), cpu: cpu[k]}
		g.profiled, g.profile.began = g.cpu, time.Now()
		g.placed = placement(string(a.host.Proc), h.PID)
		if age, err := a.host.Proc.Age(&h.Process); err == nil {
			g.started = g.found.Add(-age)
		}
		if !g.started.After(a.began) {
			g.quiet = 2 // until it shows that it runs
		}
		g.features[featureImage] = state{State: "waiting", At: time.Now()}
		// Not all at once, where a host full of guests is seen for the first time.
		g.work[laneProfile].due = time.Now().Add(rand.N(max(a.cfg.Profile.Every/4, 1)))
		a.fleet.mu.Lock()
		a.fleet.byKey[k] = g
		a.fleet.seen++
		a.fleet.mu.Unlock()
		a.log.printf("found: %s (%s, process %d)", targetOf(&h), h.Kind, h.PID)
	}
	a.fleet.mu.Lock()
	a.fleet.ignored = ignored
	a.fleet.mu.Unlock()
}

// give gives out the work that is due, what has been due for longest first, and
// returns when there will be more. Any other order would starve a guest where places
// are few.
func (a *agent) give(ctx context.Context, now time.Time) (next time.Time) {
	next = now.Add(time.Minute)
	_, _, slow := a.self.used()
	type piece struct {
		g *guest
		l lane
	}
	var due []piece
	for _, g := range a.fleet.byKey {
		for l := range lanes {
			w := &g.work[l]
			switch {
			case w.busy || w.stuck:
			case w.due.After(now):
				if w.due.Before(next) {
					next = w.due
				}
			default:
				due = append(due, piece{g, l})
			}
		}
	}
	slices.SortFunc(due, func(p, q piece) int { return p.g.work[p.l].due.Compare(q.g.work[q.l].due) })
	for _, p := range due {
		// Where no place is free the manager is woken when one is.
		if w := &p.g.work[p.l]; a.start(ctx, p.g, p.l, now, slow) && !w.busy && w.due.Before(next) {
			next = w.due
		}
	}
	return next
}

// start starts a lane's work, or puts it off.
func (a *agent) start(ctx context.Context, g *guest, l lane, now time.Time, slow float64) bool {
	w := &g.work[l]
	c := a.cfg
	g.mu.Lock()
	looked := g.looked
	g.mu.Unlock()
	var work func(context.Context) error
	var limit, every time.Duration
	p := a.looks
	switch l {
	case laneLook:
		every, limit = lookEvery, lookTimes*c.Guests.Timeout+c.Console.KeepCrashed
		switch {
		case c.Console.KeepCrashed > 0:
			every = lookKept
		case g.quiet < 2:
			every = lookBusy
		}
		how := how{
			runs:   g.quiet < 2,
			shared: g.work[laneProfile].busy || g.work[laneTrace].busy || g.trace.follow != nil,
		}
		if how.runs && !g.proved {
			limit += lookTimes * c.Guests.Timeout
		}
		work = func(ctx context.Context) error { return a.look(ctx, g, how) }
	case laneProfile:
		if !c.Profile.Enabled {
			g.set(featureProfile, state{State: "off"})
			w.due = now.Add(time.Hour)
			return true
		}
		if !looked {
			w.due = now.Add(time.Second)
			return true
		}
		every = time.Duration(float64(c.Profile.Every) * slow)
		if used := g.cpu - g.profiled; float64(used) < float64(c.Profile.MinCPU)*float64(now.Sub(g.profile.began)) || used <= 0 {
			a.idle(g, now)
			w.due = now.Add(c.Guests.Every)
			return true
		}
		limit = c.Profile.Duration + lookTimes*c.Guests.Timeout
		p = a.bursts
		work = func(ctx context.Context) error { return a.burst(ctx, g) }
	case laneTrace:
		if !c.Traces.Enabled {
			g.set(featureTraces, state{State: "off"})
			w.due = now.Add(time.Hour)
			return true
		}
		every = time.Duration(float64(c.Traces.Every) * slow)
		if !looked {
			w.due = now.Add(min(every, time.Second))
			return true
		}
		if g.quiet > 1 && g.trace.follow == nil && !g.started.After(a.began) {
			// What it traced before it was first seen is not news.
			w.due = now.Add(c.Guests.Every)
			return true
		}
		if g.quiet > 1 {
			every = max(every, quietTrace)
		}
		limit = lookTimes * c.Guests.Timeout
		work = func(ctx context.Context) error { return a.drain(ctx, g) }
	}
	var result error
	ok := p.try(ctx, limit, func(ctx context.Context) { result = work(ctx) },
		func() { a.tell(func() { a.hangs(g, l) }) },
		func() { a.tell(func() { a.finished(g, l, result, every) }) })
	if !ok {
		return false
	}
	if l == laneProfile {
		g.profiled, g.profile.began = g.cpu, now
	}
	w.busy, w.due = true, now.Add(every)
	return true
}

// tell has the manager do something before it gives out more work.
func (a *agent) tell(f func()) {
	a.fleet.mu.Lock()
	a.fleet.told = append(a.fleet.told, f)
	a.fleet.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// hangs notes that work on a guest does not end.
func (a *agent) hangs(g *guest, l lane) {
	g.work[l].stuck = true
	g.set(l.feature(), state{State: "failed", Detail: "it hangs: nothing more is asked of this guest until it answers"})
	a.log.once(g.topic(l.String()), "%s: %s: hangs; left alone until it answers", g.name(), l)
}

// finished notes the end of work and when there is more.
func (a *agent) finished(g *guest, l lane, err error, every time.Duration) {
	w := &g.work[l]
	w.busy, w.stuck = false, false
	g.mu.Lock()
	gone := g.gone
	g.mu.Unlock()
	if gone {
		a.release(g)
		return
	}
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		if w.failed > 0 {
			a.log.forget(g.topic(l.String()))
		}
		w.failed = 0
		if l == laneLook {
			a.console.looked(g)
			if !g.proved && g.quiet < 2 && g.imageFile() != "" {
				// Not all at once, where a host full of guests is seen for the first time.
				w.due = time.Now().Add(proveAfter + rand.N(every))
			}
		}
		if l == laneTrace {
			if wait := g.trace.next; wait > 0 && (g.quiet < 2 || wait > every) {
				w.due = time.Now().Add(wait)
			}
		}
	default:
		w.failed++
		pause := min(longestPause, every<<min(w.failed-1, 10))
		w.due = time.Now().Add(pause)
		g.count(l)
		g.set(l.feature(), state{State: "failed", Detail: fmt.Sprintf("%v; again in %v", err, pause.Round(time.Second))})
		a.log.once(g.topic(l.String()), "%s: %s: %v", g.name(), l, err)
	}
}
