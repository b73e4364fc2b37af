package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/renewed"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/imageindex"
)

// errGone says that a guest ended while it was looked at.
var errGone = errors.New("the guest is gone")

// how is what a look has to know of the schedule.
type how struct {
	// runs: its VMM used CPU time of late.
	runs bool
	// shared: other lanes may have its monitor for a moment.
	shared bool
}

// busyTries is how often a monitor is asked for that other lanes may have, busyWait how
// long is waited at first; the longest hold is 20 ms.
const (
	busyTries = 4
	busyWait  = 25 * time.Millisecond
)

// look brings up to date what is known of a guest: the ways to it, its run state,
// and its image.
func (a *agent) look(ctx context.Context, g *guest, how how) error {
	_, _, index := a.fleet.now()
	g.mu.Lock()
	h := g.host
	first, known := !g.looked, g.imagePath != "" && g.imageErr == nil
	g.mu.Unlock()
	was := h
	for try := range busyTries {
		h.Ways, h.State, h.StateFrom, h.Notes = nil, "", "", nil
		a.host.Look(ctx, &h)
		if _, had := was.Way(hosts.Monitor); !had || !how.shared || h.State != "" {
			break
		}
		if _, has := h.Way(hosts.Monitor); has {
			break // nobody has it, it does not answer
		}
		if try == busyTries-1 {
			h.Ways, h.State, h.StateFrom = was.Ways, was.State, was.StateFrom
			break
		}
		time.Sleep(busyWait << try)
	}
	if !a.same(g) {
		return nil
	}
	g.mu.Lock()
	name, address := g.host.Name, g.host.Target
	g.host = h
	g.host.Name, g.host.Target = name, address // the manager may have named it meanwhile
	g.mu.Unlock()
	refresh := a.fleet.indexed.Load()
	switch {
	case !known && (first || refresh != g.lookedUp):
		g.lookedUp = refresh
		a.findImage(ctx, g, &h, index)
	case known && !g.proved && how.runs:
		g.lookedUp = refresh
		a.prove(ctx, g, &h, index)
	}
	a.keepCrashed(ctx, g, &h)
	g.mu.Lock()
	g.looked = true
	g.mu.Unlock()
	return ctx.Err()
}

// same reports whether the guest's process is still the one it was.
func (a *agent) same(g *guest) bool {
	p, err := a.host.Proc.ByPID(g.proc.PID)
	return err == nil && p.StartTime == g.proc.StartTime
}

// findImage looks for the guest's image: beside its kernel, which takes no reading of
// the guest, or in the index, by its memory.
func (a *agent) findImage(ctx context.Context, g *guest, h *hosts.Guest, index *imageindex.Index) {
	var m imageindex.Match
	var err error
	beside, why := hosts.Image(&h.Process)
	if beside != "" && version(beside) == g.refused {
		beside, why = "", beside+" is not what it runs: the file was made anew"
	}
	if beside != "" {
		// Most likely it is; see prove.
		m = imageindex.Match{Debug: beside, Kernel: h.Kernel, How: "beside its kernel"}
	} else {
		m, err = a.lookUp(ctx, h, index)
		g.proved = m.Proved
		if m.Debug != "" && version(m.Debug) == g.refused {
			m.Debug, err = "", fmt.Errorf("%w: %s is not what it runs", imageindex.ErrUnknown, m.Debug)
		}
	}
	if err == nil && m.Debug != "" {
		a.found(g, m)
		return
	}
	g.mu.Lock()
	g.image, g.imageErr, g.imagePath = m, err, m.Debug
	g.mu.Unlock()
	st := state{State: "unknown", Command: a.lsCommand()}
	switch {
	case errors.Is(err, imageindex.ErrUnknown):
		st.Detail = fmt.Sprintf("%s; look for the image with hash %s", why, orNone(m.Hash))
	case err != nil:
		st.Detail = fmt.Sprintf("%s; %v", why, err)
	default:
		st.Detail = fmt.Sprintf("%s is known, without debug information; hash %s", m.Kernel, orNone(m.Hash))
	}
	g.set(featureImage, st)
	a.log.once(g.topic("image"), "%s: image=unknown: %s", g.name(), st.Detail)
}

// found notes a guest's image.
func (a *agent) found(g *guest, m imageindex.Match) {
	g.mu.Lock()
	g.image, g.imageErr, g.imagePath = m, nil, m.Debug
	g.mu.Unlock()
	g.set(featureImage, state{State: "ok", Detail: m.How, Command: a.lsCommand()})
}

// prove finds out by a guest's memory whether what lies beside its kernel is its image:
// it may have been built anew since the guest began. If not it is looked for in the
// index. It comes with a later look, when the guest runs: until then nothing depends on
// it, and hundreds of idle guests cost nothing.
func (a *agent) prove(ctx context.Context, g *guest, h *hosts.Guest, index *imageindex.Index) {
	if m, err := a.lookUp(ctx, h, index); err == nil && m.Proved && m.Debug != "" && version(m.Debug) != g.refused {
		g.proved = true
		a.found(g, m)
		return
	}
	// Whoever opens it is asked last: that takes its debug information, and memory.
	s, err := a.session(ctx, g)
	if err == nil {
		err = s.Close(context.WithoutCancel(ctx))
		g.proved = true
	}
	if !errors.Is(err, ukdbg.ErrMismatch) {
		return // it is, or it cannot be told now
	}
	g.refused = version(g.imageFile())
	a.log.once(g.topic("refused image"), "%s: %v", g.name(), err)
	a.findImage(ctx, g, h, index)
	g.proved = true // nothing better is to be had
}

// version names a file as it is now.
func version(path string) string { return path + " " + renewed.Stamp(path) }

// lsCommand is the verb that shows guests with their images.
func (a *agent) lsCommand() string {
	c, _, _ := a.fleet.now()
	flags := []string{}
	for _, dir := range c.Images.Dirs {
		flags = append(flags, "--image-dir", dir)
	}
	return oneShot("ls", "--long", "", flags...)
}

// lookUp asks the index.
func (a *agent) lookUp(ctx context.Context, h *hosts.Guest, index *imageindex.Index) (imageindex.Match, error) {
	c, _, _ := a.fleet.now()
	return ukdbg.FindImage(ctx, index, &h.Process, ukdbg.Options{Timeout: c.Guests.Timeout, Guard: a.opt.Guard})
}

// session opens a session for one lane.
func (a *agent) session(ctx context.Context, g *guest) (*ukdbg.Session, error) {
	c, _, _ := a.fleet.now()
	g.mu.Lock()
	h, image := g.host, g.imagePath
	g.mu.Unlock()
	if image == "" {
		return nil, errNoImage
	}
	s, err := ukdbg.Open(ctx, ukdbg.Options{
		Target: fmt.Sprintf("pid:%d", g.proc.PID), Image: image, Images: a.images, CacheDir: a.opt.CacheDir,
		Timeout: c.Guests.Timeout, Initrd: h.Initrd, Guard: a.opt.Guard,
	})
	if err != nil {
		return nil, err
	}
	if !a.same(g) {
		return nil, errors.Join(errGone, s.Close(context.WithoutCancel(ctx)))
	}
	g.mu.Lock()
	if g.image.Hash == "" {
		g.image.Hash = s.ImageHash()
	}
	_, g.osVersion = s.KernelVersion()
	g.mu.Unlock()
	return s, nil
}

// stub opens a session with a guest's stub for the samples of a burst: each is a stop,
// which ends in time, and a guard gives the guest back whatever happens.
func (a *agent) stub(ctx context.Context, g *guest, spec string) (*ukdbg.Session, error) {
	c, _, _ := a.fleet.now()
	how := a.opt.Guard
	how.Verb, how.MaxPause, how.PauseBudget, how.ReadOnly = "profile", c.Stops.Longest, float64(c.Stops.Profile), true
	return ukdbg.Open(ctx, ukdbg.Options{
		Target: spec, Image: g.imageFile(), Images: a.images, CacheDir: a.opt.CacheDir, Timeout: c.Guests.Timeout, Guard: how, Brief: true,
	})
}

// mayStop reports whether the configuration lets bursts stop guests.
func (a *agent) mayStop(c *config.Config) bool {
	return c.Stops.Profile > 0 && len(a.opt.Guard.Command) > 0
}

// errNoImage says that a guest's image is not known.
var errNoImage = errors.New("image=unknown")

func orNone(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}
