package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/console"
	"github.com/ukdbg/ukdbg/agent/keep"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/imageindex"
)

// Options say how the agent runs.
type Options struct {
	// Config is what to do; File, if not "", is where it came from: when it changes,
	// or Reload is sent something, Load reads it again, config.Load of File if nil.
	Config *config.Config
	File   string
	Load   func() (*config.Config, error)
	Reload <-chan struct{}
	// Log gets a line for what an operator ought to know; nil for nobody.
	Log io.Writer
	// CacheDir is where what was made of images is kept, "" for nowhere.
	CacheDir string
	// Version is the program's.
	Version string
	// Guard says who gives a guest back that is stopped, if this process dies.
	// Without a Command no guest is stopped, whatever the configuration says.
	Guard guard.Options
	// Host is where guests are looked for, hosts.New() if nil.
	Host *hosts.Host
	// Ready, if set, is called once with the address the pages are served at, ""
	// for none.
	Ready func(address string)
	// wall is the host's clock, which may be set at any time: time.Now, but for tests.
	wall func() time.Time
}

// ErrConfig says that the agent cannot do what its configuration says.
var ErrConfig = errors.New("the configuration cannot be carried out")

// drainPatience is how long the end of the agent waits for its work and receivers.
const drainPatience = 5 * time.Second

// Agent watches the guests of a host.
type agent struct {
	opt     Options
	log     *logger
	began   time.Time
	id      string // of this run of the agent
	host    *hosts.Host
	scanner *scanner
	images  *ukdbg.Images
	self    *self
	fleet   fleet

	// The manager's own.
	cfg     *config.Config
	looks   *pool // looks and readings of traces
	bursts  *pool
	index   *imageindex.Index
	indexed chan struct{} // ends a refresh loop
	out     *outputs
	wake    chan struct{}
	pages   *pages
	console *consoles
	places  console.Places
	closing sync.WaitGroup // of receivers of before
	keeper  *keep.Keeper
	// rename: names and globs are to be looked at again.
	rename bool
	// recalled: the consoles of guests that ended before were read.
	recalled bool
	spans    spanRate
}

// Run watches the guests until ctx ends.
func Run(ctx context.Context, opt Options) error {
	if opt.Config == nil {
		opt.Config = config.Default()
	}
	if opt.wall == nil {
		opt.wall = time.Now
	}
	if opt.Log == nil {
		opt.Log = io.Discard
	}
	if opt.Load == nil {
		opt.Load = func() (*config.Config, error) { return config.Load(opt.File) }
	}
	if opt.Host == nil {
		opt.Host = hosts.New()
	}
	a := &agent{
		opt: opt, log: newLogger(opt.Log), began: time.Now(), host: opt.Host, scanner: newScanner(opt.Host.Proc),
		images: ukdbg.NewImages(0), self: newSelf(), wake: make(chan struct{}, 1),
	}
	a.id = identity()
	a.fleet.byKey = map[key]*guest{}
	a.looks, a.bursts = newPool(workers(opt.Config)), newPool(opt.Config.Profile.AtOnce)
	if err := a.adopt(ctx, opt.Config); err != nil {
		return errors.Join(err, a.close())
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	if opt.Ready != nil {
		opt.Ready(a.pages.address())
	}
	a.log.printf("watching: %s", a.summary())
	err := a.manage(ctx)
	return errors.Join(err, a.close())
}

// workers is how many guests are worked on at a time.
func workers(c *config.Config) int {
	if c.Limits.Workers > 0 {
		return c.Limits.Workers
	}
	return max(4, 2*runtime.GOMAXPROCS(0))
}

// adopt makes a configuration the one in force; what cannot be had is an error and
// changes nothing.
func (a *agent) adopt(ctx context.Context, c *config.Config) error {
	a.closing.Wait() // it may hold a spool
	out, err := newOutputs(c, a.opt.Version, a.log, a.out)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	old, keeper := a.cfg, a.keeper
	if old == nil || old.Console.KeepCrashed != c.Console.KeepCrashed || old.Console.DumpDir != c.Console.DumpDir {
		if keeper, err = a.newKeeper(ctx, c); err != nil {
			return errors.Join(fmt.Errorf("%w: keep_crashed: %w", ErrConfig, err), out.abandon())
		}
	}
	if a.pages == nil || old.Listen != c.Listen {
		p, err := a.serve(ctx, c)
		if errors.Is(err, syscall.EADDRINUSE) && a.pages != nil {
			p, err = a.serveInstead(ctx, c, old)
		}
		if err != nil {
			if keeper != a.keeper {
				err = errors.Join(err, closeKeeper(keeper))
			}
			return errors.Join(fmt.Errorf("%w: listen: %w", ErrConfig, err), out.abandon())
		}
		err = a.pages.close()
		a.pages = p
		if err != nil {
			a.log.printf("pages of before: %v", err)
		}
	}
	if old != nil {
		a.looks.resize(workers(c) - workers(old))
		a.bursts.resize(c.Profile.AtOnce - old.Profile.AtOnce)
	}
	a.cfg, a.rename = c, true
	a.fleet.sending.Lock()
	gone := out.begin()
	a.fleet.setOutputs(c, out, keeper)
	a.fleet.sending.Unlock()
	a.closing.Go(func() {
		if err := gone.close(drainPatience); err != nil {
			a.log.printf("receivers of before: %v", err)
		}
	})
	if keeper != a.keeper {
		if err := closeKeeper(a.keeper); err != nil {
			a.log.printf("guests that were to be kept: %v", err)
		}
	}
	a.out, a.keeper = out, keeper
	a.useFiles()
	debug.SetMemoryLimit(int64(c.Limits.Memory))
	a.reindex(ctx, old)
	if old == nil || old.Console != c.Console {
		if err := a.console.close(); err != nil {
			a.log.printf("consoles: %v", err)
		}
		a.console, a.recalled = newConsoles(ctx, a, &a.places), false
		for _, g := range a.fleet.list() {
			g.setConsole(nil)
			g.noConsole = false
		}
	}
	for _, g := range a.fleet.list() {
		for l := range g.work {
			g.work[l].due, g.work[l].failed = time.Time{}, 0
		}
	}
	return nil
}

// reindex keeps the index of images fresh in the background.
func (a *agent) reindex(ctx context.Context, old *config.Config) {
	c := a.cfg.Images
	if old != nil && fmt.Sprint(old.Images) == fmt.Sprint(c) {
		return
	}
	if a.indexed != nil {
		close(a.indexed)
	}
	a.index = imageindex.New(imageindex.Options{Dirs: c.Dirs, OCI: c.OCI, Kraft: c.Kraft, CacheDir: a.opt.CacheDir})
	end := make(chan struct{})
	a.indexed = end
	a.fleet.setIndex(a.index)
	index := a.index
	go func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		tick := time.NewTicker(c.Every)
		defer tick.Stop()
		for {
			st, err := index.Refresh(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				a.log.once("images", "images: %v", err)
			default:
				a.log.once("images", "images: %d known, %d with debug information", st.Images, st.Debug)
			}
			a.fleet.indexed.Add(1)
			select {
			case <-end:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// summary says in a line what the configuration in force does.
func (a *agent) summary() string {
	c := a.cfg
	text := fmt.Sprintf("guests each %v", c.Guests.Every)
	if c.Profile.Enabled {
		text += fmt.Sprintf("; %v at %g Hz for %v each %v", c.Profile.Kinds, c.Profile.Hz, c.Profile.Duration, c.Profile.Every)
	}
	if c.Traces.Enabled {
		text += "; traces"
	}
	if c.Console.Enabled {
		text += "; consoles"
	}
	text += fmt.Sprintf("; %d receivers", len(a.out.receivers))
	if at := a.pages.address(); at != "" {
		text += "; pages at " + at
	}
	return text
}

func (a *agent) close() error {
	if a.indexed != nil {
		close(a.indexed)
	}
	err := a.console.close()
	a.looks.wait(drainPatience)
	a.bursts.wait(drainPatience)
	for _, g := range a.fleet.list() {
		a.flush(g)
		g.closeSessions()
	}
	a.closing.Wait()
	err = errors.Join(err, closeKeeper(a.keeper), a.pages.close())
	if a.out != nil {
		err = errors.Join(err, a.out.close(drainPatience))
	}
	return errors.Join(err, a.images.Close())
}

// hostname is what the host calls itself, "" if it does not.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// identity names a run of the agent.
func identity() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
