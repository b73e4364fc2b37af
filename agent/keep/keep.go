package keep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/vmm"
)

// Options say how guests are kept. Zero fields take the defaults.
type Options struct {
	// Dir is the folder for dumps, made with mode 0700.
	Dir string
	// MaxDumps and MaxBytes bound it, the oldest dumps go first; 20 and 1 GiB if 0.
	// One dump has at most half of MaxBytes.
	MaxDumps int
	MaxBytes int64
	// For is how long a guest that has ended is kept at most; 30 s if 0.
	For time.Duration
	// Guard has the command and the state folder of guards.
	Guard guard.Options
	// Writer names the program in dumps.
	Writer string
}

// Keeper keeps guests. Its methods may be called by several goroutines, for one
// guest by one at a time.
type Keeper struct {
	opt  Options
	mu   sync.Mutex
	held map[guest]*hold
	// refused are the guests that could not be held, each with a guard that may still
	// be putting something back.
	refused map[guest]refusal
}

// refusal is why and when a guest could not be held.
type refusal struct {
	err error
	at  time.Time
}

// again is after how long it is tried again to hold a guest that could not be.
const again = 10 * time.Minute

// failed is why a guest could not be held a short time ago.
func (k *Keeper) failed(p *vmm.Process) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.refused[nameOf(p)]; ok && time.Since(r.at) < again {
		return r.err
	}
	return nil
}

// guest names a VMM's process for ever.
type guest struct {
	pid   int
	start uint64
}

type hold struct {
	*guard.Held
	mon qmp.Monitor
}

// The reasons why a guest is not kept.
var (
	// ErrNoMonitor: there is no QMP monitor that is nobody else's.
	ErrNoMonitor = errors.New("a guest that dies can be kept through a QMP monitor only, and it has none for us")
	// ErrKeptAnyway: its VMM was started to keep it, and nobody is to end it.
	ErrKeptAnyway = errors.New("its VMM keeps it when it ends, by its command line")
	// ErrNotHeld: Hold was not called for the guest, or failed.
	ErrNotHeld = errors.New("the guest is not held")
)

// New makes a Keeper, and first finishes what one that died has left.
func New(ctx context.Context, opt Options) (*Keeper, error) {
	if opt.MaxDumps <= 0 {
		opt.MaxDumps = 20
	}
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 1 << 30
	}
	if opt.For <= 0 {
		opt.For = 30 * time.Second
	}
	opt.Guard.Verb = "agent keep-crashed"
	k := &Keeper{opt: opt, held: map[guest]*hold{}, refused: map[guest]refusal{}}
	if err := k.Ready(); err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return nil, err
	}
	return k, nil
}

// Ready makes the folder, and is why there is none: a disk may have no room for it yet.
// It is tried again with each dump.
func (k *Keeper) Ready() error { return makeFolder(k.opt.Dir) }

func nameOf(p *vmm.Process) guest { return guest{p.PID, p.StartTime} }

func (k *Keeper) find(p *vmm.Process) *hold {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held[nameOf(p)]
}

// Hold has the VMM keep a guest that ends. It is done once for a guest.
func (k *Keeper) Hold(ctx context.Context, p *vmm.Process) error {
	if k.find(p) != nil {
		return nil
	}
	if p.KeepsEnded() {
		return ErrKeptAnyway
	}
	if err := k.failed(p); err != nil {
		return err
	}
	mon, err := freeMonitor(ctx, p)
	if err != nil {
		return err
	}
	h, err := guard.HoldShutdown(ctx, mon, k.opt.Guard)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		maps.DeleteFunc(k.refused, func(_ guest, r refusal) bool { return time.Since(r.at) > again })
		k.refused[nameOf(p)] = refusal{err, time.Now()}
		return err
	}
	k.held[nameOf(p)] = &hold{h, mon}
	return nil
}

// freeMonitor returns the first monitor that is nobody else's and answers.
func freeMonitor(ctx context.Context, p *vmm.Process) (qmp.Monitor, error) {
	errs := []error{ErrNoMonitor}
	for _, m := range p.Usable() {
		if m.Proto != vmm.QMP {
			continue
		}
		mon := qmp.Monitor{Path: m.Path, Proto: qmp.QMP}
		err := isOf(ctx, mon, p.PID)
		if err == nil {
			return mon, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return qmp.Monitor{}, ErrNoMonitor
	}
	return qmp.Monitor{}, fmt.Errorf("%w: %w", ErrNoMonitor, errors.Join(errs[1:]...))
}

// isOf fails for a monitor that another process serves: a command line names what it
// likes, and somebody else's VMM is not to be changed for it.
func isOf(ctx context.Context, mon qmp.Monitor, pid int) error {
	return mon.Do(ctx, func(c *qmp.Conn) error {
		if at := c.PID(); at != 0 && at != pid {
			return fmt.Errorf("monitor %s is of process %d, not of %d", mon.Path, at, pid)
		}
		return c.Execute(ctx, "query-status", nil, nil)
	})
}

func statusOf(ctx context.Context, mon qmp.Monitor) (string, error) {
	var status struct {
		Status string `json:"status"`
	}
	err := mon.Do(ctx, func(c *qmp.Conn) error { return c.Execute(ctx, "query-status", nil, &status) })
	return status.Status, err
}

// Ended asks the VMM whether a held guest has ended, and how.
func (k *Keeper) Ended(ctx context.Context, p *vmm.Process) (state string, ended bool, err error) {
	h := k.find(p)
	if h == nil {
		return "", false, ErrNotHeld
	}
	state, err = statusOf(ctx, h.mon)
	return state, ukdbg.Ended(state), err
}

// Kept is what is left of a guest.
type Kept struct {
	// Fault is what the machine tells of its death, "" if it did not die of a
	// fault: then there is no dump.
	Fault string
	// Dump is the file, "" if there is none.
	Dump  string
	Stats ukdbg.DumpStats
}

// Collect makes a dump of a held guest that has ended, if it died of a fault, and
// lets it end, whatever happens. open attaches to it; the session is closed here.
func (k *Keeper) Collect(ctx context.Context, p *vmm.Process, open func(context.Context) (*ukdbg.Session, error)) (kept Kept, err error) {
	h := k.find(p)
	if h == nil {
		return kept, ErrNotHeld
	}
	within, cancel := context.WithTimeout(ctx, k.opt.For)
	defer cancel()
	defer func() { err = errors.Join(err, k.let(context.WithoutCancel(ctx), p, h)) }()
	s, err := open(within)
	if err != nil {
		return kept, fmt.Errorf("looking at the guest that ended: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	rep, err := s.Fault(within)
	if ukdbg.IsNoFault(err) {
		return kept, nil
	}
	if err != nil {
		return kept, fmt.Errorf("looking at the guest that ended: %w", err)
	}
	kept.Fault = rep.Fault.Reason
	kept.Dump, kept.Stats, err = k.write(within, p, s)
	return kept, err
}

// letPatience bounds what it takes to let a guest end.
const letPatience = 10 * time.Second

// let puts the setting back and ends the VM, as it would have by itself.
func (k *Keeper) let(ctx context.Context, p *vmm.Process, h *hold) error {
	ctx, cancel := context.WithTimeout(ctx, letPatience)
	defer cancel()
	err := k.release(ctx, p, h)
	// Only what has shut down would be gone by now: with a panicked guest its VMM
	// does as it was told.
	state, serr := statusOf(ctx, h.mon)
	if serr == nil && state == "shutdown" {
		serr = h.mon.Do(ctx, func(c *qmp.Conn) error { return c.Execute(ctx, "quit", nil, nil) })
	}
	if serr != nil && !errors.Is(serr, qmp.ErrGone) {
		return errors.Join(err, fmt.Errorf("letting the guest end: %w", serr))
	}
	return err
}

func (k *Keeper) release(ctx context.Context, p *vmm.Process, h *hold) error {
	if err := h.Release(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.held, nameOf(p))
	return nil
}

// Drop forgets a guest, with its setting put back if its VMM still lives.
func (k *Keeper) Drop(ctx context.Context, p *vmm.Process) error {
	k.mu.Lock()
	delete(k.refused, nameOf(p))
	k.mu.Unlock()
	if h := k.find(p); h != nil {
		return k.release(ctx, p, h)
	}
	return nil
}

// Close puts back every setting.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	held := k.held
	k.held = map[guest]*hold{}
	k.mu.Unlock()
	var errs []error
	for _, h := range held {
		errs = append(errs, h.Release(ctx))
	}
	return errors.Join(errs...)
}
