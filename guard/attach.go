package guard

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// Attachment is a client under guard.
type Attachment struct {
	*gdbstub.Client
	w     *journal.Writer
	guard *watcher
	temp  *tempStub
	dir   folder
	opt   Options
	told  bool // the audit log has the end
	// settings were made through a monitor and are put back at the end.
	settings []journal.Setting
	vmm      journal.VMM
}

// Attach connects to the stub spec names, under guard. Before that it finishes
// what a dead attachment to the same guest left behind.
func Attach(ctx context.Context, spec target.Spec, opt Options, link gdbstub.Options) (*Attachment, error) {
	return attach(ctx, spec, opt, link, nil)
}

func attach(ctx context.Context, spec target.Spec, opt Options, link gdbstub.Options, temp *tempStub) (*Attachment, error) {
	spec = absolute(spec)
	// Many processes are looked at, and meanwhile there is other work.
	refused := sync.OnceValue(func() error { return refuseMortal(ctx, spec, opt) })
	go refused()
	way, err := gdbstub.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	a := &Attachment{temp: temp, opt: opt}
	link.ReadOnly, link.MaxPause = link.ReadOnly || opt.ReadOnly, opt.MaxPause
	if opt.Command != nil && opt.State != "" {
		if err := a.begin(ctx, way, spec, opt, link, refused); err != nil {
			way.Close()
			return nil, err
		}
		link.Journal, link.Release = a.w, a.guard.release
		link.Lease = a.guard.stands()
	}
	if err := refused(); err != nil {
		way.Close()
		a.temp = nil // it was not opened
		return nil, errors.Join(err, a.end(ctx, true))
	}
	if temp != nil {
		if err := temp.open(ctx, a.w); err != nil {
			way.Close()
			return nil, errors.Join(err, a.end(ctx, true))
		}
		link.Found = temp.found
	}
	if a.Client, err = way.Dial(ctx, link); err != nil {
		// The guest was not reached, or was given back. Else the guard does it,
		// when this process ends.
		return nil, errors.Join(err, a.end(ctx, !gdbstub.LeftBehind(err)))
	}
	if a.w != nil {
		go audit(opt.State, a.entry("attach"))
		go a.insist(a.guard)
	}
	return a, nil
}

// lostPatience is how long a client whose guard died may take to leave.
const lostPatience = time.Second

// insist gives the guest back if the guard dies and the client, told so, does
// not: it may hang, as in a write that nobody reads.
func (a *Attachment) insist(g *watcher) {
	if !g.dies() {
		return
	}
	time.Sleep(lostPatience)
	// How it went is told to the client's own Leave.
	_, _ = a.Client.Leave(context.Background())
}

// begin opens the journal and starts the guard. Nothing is sent to a guest that
// is refused.
func (a *Attachment) begin(ctx context.Context, way *gdbstub.Way, spec target.Spec, opt Options, link gdbstub.Options, refused func() error) error {
	same := func(st *journal.State) bool {
		// Each temporary stub has an address of its own; its monitor is the VM's.
		return (st.Spec == spec.String() || a.temp != nil && st.Temp != nil && st.Temp.Monitor.Path == a.temp.monitor.Path) && refused() == nil
	}
	for _, rep := range recoverAll(ctx, opt, same) {
		if opt.Told != nil {
			opt.Told(rep)
		}
	}
	dir, err := newFolder(opt.State)
	if err != nil {
		return err
	}
	a.dir = dir
	b := journal.Begin{
		Spec: spec.String(), Client: self(), Created: time.Now(), Verb: opt.Verb, MaxPause: opt.MaxPause, Monitor: opt.Monitor,
	}
	b.Boot, b.SinceBoot = thisBoot(), sinceBoot()
	if link.Arch != nil {
		b.Arch = link.Arch.Name
	}
	if a.w, err = journal.Create(dir.journal(), b); err != nil {
		dir.remove()
		return fmt.Errorf("the guard's journal: %w", err)
	}
	if a.guard, err = watch(opt, dir, a.w, way.Files()); err != nil {
		_ = a.w.Close()
		dir.remove()
		return fmt.Errorf("starting the guard: %w", err)
	}
	return nil
}

// Leave gives the guest back: see gdbstub.Client.Leave. What it cannot put back
// the guard goes on trying to when this process ends.
func (a *Attachment) Leave(ctx context.Context) (target.Farewell, error) {
	bye, err := a.Client.Leave(ctx)
	undone := a.Undone()
	if e := a.end(ctx, undone); e != nil {
		err = errors.Join(err, e)
	}
	if !undone && a.guard != nil && !a.guard.isLost() {
		bye.Note = join(bye.Note, fmt.Sprintf("the guard (process %d) goes on trying; ukdbg recover tells", a.guard.pid))
	}
	if a.opt.Command != nil && !a.told {
		a.told = true
		audit(a.opt.State, a.farewellEntry(bye, err))
	}
	return bye, err
}

// end closes the temporary stub, the journal and the guard; undone says that
// nothing else is left to do. It may be called again.
func (a *Attachment) end(ctx context.Context, undone bool) error {
	var err error
	if undone && len(a.settings) > 0 {
		if err = putBack(context.WithoutCancel(ctx), a.w, a.settings); err == nil {
			a.settings = nil
		}
		undone = err == nil
	}
	if undone && a.temp != nil {
		err = a.temp.close(ctx, a.w)
		undone = err == nil
	}
	if a.w == nil || !undone {
		return err
	}
	if e := a.w.Append(journal.Left{}); e != nil {
		return errors.Join(err, e)
	}
	a.vmm = a.w.State().VMM
	a.guard.farewell()
	err = errors.Join(err, a.w.Close())
	a.dir.remove()
	a.w = nil
	return err
}

// Guarded tells of the guard: its process, and the VMM it found, if any yet.
func (a *Attachment) Guarded() (pid int, vmm journal.VMM) {
	if a.guard == nil {
		return 0, vmm
	}
	if a.w == nil {
		return a.guard.pid, a.vmm
	}
	return a.guard.pid, a.w.State().VMM
}

// Lifeline tells a person beforehand if the guest has only its link: no monitor
// of its VMM was found by which the guard could free it otherwise. "" if it has
// one, or if there is no guard.
func (a *Attachment) Lifeline() string {
	if a.guard == nil || a.w == nil || !a.guard.findNow(lifelinePatience) {
		return ""
	}
	if _, v := a.Guarded(); len(v.Monitors) > 0 {
		return ""
	}
	return "no monitor of the VMM is known: if the link is cut, the guest waits until it is back (--monitor PATH names one)"
}

// lifelinePatience bounds the wait for the guard's finding.
const lifelinePatience = 300 * time.Millisecond

// absolute makes a socket's path good in any folder.
func absolute(spec target.Spec) target.Spec {
	if spec.Scheme == target.Unix && spec.Addr != "" && spec.Addr[0] != '@' {
		if p, err := filepath.Abs(spec.Addr); err == nil {
			spec.Addr = p
		}
	}
	return spec
}

func join(a, b string) string {
	switch "" {
	case a:
		return b
	case b:
		return a
	}
	return a + "; " + b
}
