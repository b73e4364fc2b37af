package agent

import (
	"context"
	"errors"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/keep"
	"github.com/ukdbg/ukdbg/hosts"
)

// newKeeper makes what keeps guests that die, nil where nobody wants it.
func (a *agent) newKeeper(ctx context.Context, c *config.Config) (*keep.Keeper, error) {
	if c.Console.KeepCrashed == 0 {
		return nil, nil
	}
	k, err := keep.New(ctx, keep.Options{Dir: c.Console.DumpDir, For: c.Console.KeepCrashed, Guard: a.opt.Guard, Writer: "ukdbg agent " + a.opt.Version})
	if err == nil {
		if rerr := k.Ready(); rerr != nil {
			a.log.printf("dumps of guests that die: %v; made as soon as there is room", rerr)
		}
	}
	return k, err
}

// keepCrashed has a guest kept when it ends, and takes the dump of one that did. It is
// the look lane's.
func (a *agent) keepCrashed(ctx context.Context, g *guest, h *hosts.Guest) {
	k := a.fleet.crashKeeper()
	if k == nil {
		return
	}
	if g.keeper != k {
		g.keeper = nil
		if err := k.Hold(ctx, &g.proc); err != nil {
			a.log.once(g.topic("keep"), "%s: it will not be kept when it dies: %v", label(h), err)
			return
		}
		g.keeper = k
	}
	if h.State == "running" {
		return
	}
	state, ended, err := k.Ended(ctx, &g.proc)
	if err != nil {
		a.log.once(g.topic("keep"), "%s: whether it ended is not known: %v", label(h), err)
	}
	if err != nil || !ended {
		return
	}
	kept, err := k.Collect(ctx, &g.proc, func(ctx context.Context) (*ukdbg.Session, error) { return a.session(ctx, g) })
	g.keeper = nil // it ends now
	switch {
	case err != nil:
		a.log.printf("%s: it ended (%s), and no dump was made: %v", label(h), state, err)
	case kept.Dump != "":
		a.log.printf("%s: it died (%s): %s; look at it: %s", label(h), state, kept.Fault, oneShot("crash", kept.Dump, g.imageFile()))
	default:
		a.log.printf("%s: it ended (%s) without a fault", label(h), state)
	}
}

// unkeep forgets a guest that is gone.
func (g *guest) unkeep() error {
	if g.keeper == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := g.keeper.Drop(ctx, &g.proc)
	g.keeper = nil
	if errors.Is(err, keep.ErrNotHeld) {
		return nil
	}
	return err
}

// closeKeeper puts every VMM's setting back.
func closeKeeper(k *keep.Keeper) error {
	if k == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	return k.Close(ctx)
}
