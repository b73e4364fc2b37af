package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// Report tells what became of an attachment that died.
type Report struct {
	Spec, Verb string
	Client     journal.Process
	VMM        journal.VMM
	Began      time.Time
	// How it was undone, "" if it could not be.
	How string
	// Running: the guest runs now, if Known.
	Running, Known bool
	Note           string
	// Kept are changes a person asked for, which stay.
	Kept []journal.Kept
	Took time.Duration
	Err  error
}

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", r.Spec)
	if r.Err != nil {
		fmt.Fprintf(&b, "not undone: %v", r.Err)
		return b.String()
	}
	b.WriteString(r.How)
	switch {
	case r.Known && r.Running:
		b.WriteString(" · guest running")
	case r.Known:
		b.WriteString(" · guest left paused, as it was found")
	}
	if r.Note != "" {
		b.WriteString(" · " + r.Note)
	}
	for _, k := range r.Kept {
		fmt.Fprintf(&b, " · %d bytes at %#x stay as they were set", k.Len, k.Addr)
	}
	return b.String()
}

// undoing is the work on one journal.
type undoing struct {
	w     *journal.Writer
	st    *journal.State
	files []*os.File // the dead client's link, nil after it was tried
	logf  func(format string, args ...any)
	// before is how the guest was before a connection that died at once, once that was
	// found out, and unsure that it could not be.
	before gdbstub.RunState
	unsure bool
	// ordered is when the guard let the guest run, zero if it did not.
	ordered time.Time
	// orphan: client and guard are dead, so nobody who is connected to the stub is
	// theirs.
	orphan bool
}

const (
	// answerPatience bounds the wait for a stub that was alive a moment ago, if
	// there is another way.
	answerPatience = 500 * time.Millisecond
	// dialPatience bounds a new connection.
	dialPatience = 2 * time.Second
	// lingerFor is how long a guard tries before it leaves the rest to
	// "ukdbg recover", with retryMost between two tries at the end.
	lingerFor  = time.Hour
	retryFirst = 50 * time.Millisecond
	retryMost  = 5 * time.Second
)

// persist tries until all is undone, the guest is gone, or limit has passed.
func (u *undoing) persist(ctx context.Context, limit time.Duration) Report {
	deadline := time.Now().Add(limit)
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		rep := u.once(ctx)
		if rep.Err == nil || time.Now().Add(wait).After(deadline) || ctx.Err() != nil {
			return rep
		}
		u.logf("%v; trying again in %v", rep.Err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// once tries each way once.
func (u *undoing) once(ctx context.Context) Report {
	st := u.st
	rep := Report{Spec: st.Spec, Verb: st.Verb, Client: st.Client, VMM: st.VMM, Began: st.Created, Kept: st.Kept}
	if earlier := st.Boot != "" && st.Boot != thisBoot(); earlier {
		if spec, err := target.ParseSpec(st.Spec); err == nil && local(spec) {
			rep.How = "the guest is gone: this host was started anew since"
			rep.Err = u.w.Append(journal.Left{})
			return rep
		}
		// What is elsewhere may be there still, as it was left. Nothing that is
		// known of processes and times of this host is true any more.
		st.VMM, st.ConnectedAt, st.SinceBoot = journal.VMM{}, 0, 0
	}
	if st.VMM.PID == 0 {
		found := findVMM(ctx, st.Spec, st.Monitor)
		if startedAfter(found.Process, st.SinceBoot) {
			rep.How = "the guest is gone: what listens there now was started later"
			rep.Err = u.w.Append(journal.Left{})
			return rep
		}
		st.VMM, rep.VMM = found, found
	}
	how, err := u.link(ctx, &rep)
	if u.unsure && rep.Known && !rep.Running {
		rep.Note = join(rep.Note, "whether it ran before cannot be told")
	}
	if err == nil && len(st.Settings) > 0 && (st.VMM.PID == 0 || alive(st.VMM.Process)) {
		if err = putBack(ctx, u.w, st.Settings); err == nil {
			st.Settings = nil
		}
	}
	if err == nil && st.Temp != nil {
		err = closeTemp(ctx, monitorOf(st.Temp.Monitor), st.Temp, !st.Attached)
		if err == nil {
			_ = u.w.Append(journal.TempClosed{}) // Left says the same in a moment
		}
	}
	if rep.Err = err; err == nil {
		// All is undone: to begin again, on a full disk, would do harm. The folder
		// is removed next.
		_ = u.w.Append(journal.Left{})
		rep.How = how
	}
	return rep
}

// ranBefore finds out how a guest was whose attachment died before it had heard. The
// stub has taken that connection by now, and if the VM ran it was stopped for it: its
// processors were awake for that, however idle they were. Asked before, a VM that
// runs and has nothing to do looks like one that stands.
func (u *undoing) ranBefore() gdbstub.RunState {
	st := u.st
	if u.before != gdbstub.RunUnknown || st.Attached || len(st.Heard) > 0 {
		return u.before
	}
	ran, known := false, false
	if st.VMM.PID != 0 && st.ConnectedAt != 0 {
		ran, known = ranSince(st.VMM.PID, st.ConnectedAt)
	}
	switch {
	case ran:
		u.before = gdbstub.RunRunning
	case known:
		u.before = gdbstub.RunPaused
	}
	u.unsure = !known
	return u.before
}

// link undoes what was done over the link, by the first way that works.
func (u *undoing) link(ctx context.Context, rep *Report) (how string, err error) {
	st := u.st
	if !st.Connecting {
		return "it had not connected yet", nil
	}
	spec, err := target.ParseSpec(st.Spec)
	if err != nil {
		return "", err
	}
	opt := gdbstub.Options{Journal: u.w}
	if len(st.VMM.Monitors) > 0 {
		opt.AttachTimeout = answerPatience
	}
	var errs []error
	if files := u.files; files != nil {
		u.files = nil
		opt := opt
		opt.Ordered = u.ordered
		c, err := gdbstub.Adopt(ctx, spec, files, st, opt)
		if err == nil {
			err = u.leave(ctx, c, rep)
		}
		switch {
		case err == nil:
			return "undone over its link", nil
		case errors.Is(err, gdbstub.ErrNotConnected):
			return "it had not connected yet", nil
		}
		errs = append(errs, err)
		u.refresh()
	}
	if st.VMM.PID != 0 && !alive(st.VMM.Process) {
		return "the guest is gone", nil
	}
	if spec.Scheme == target.Exec {
		return "the stub's command ended with its client", nil
	}
	err = u.dial(ctx, spec, opt, rep)
	if err == nil {
		return "undone over a new connection", nil
	}
	errs = append(errs, err)
	// A VMM that is known was found alive: somebody closed its stub.
	if nobodyThere(err) && local(spec) && st.Temp == nil && st.VMM.PID == 0 {
		return "the guest is gone: nothing listens there", nil
	}
	for _, m := range u.monitors() {
		if err = u.byMonitor(ctx, m, rep); err == nil {
			return "undone through the VMM's monitor " + m.Path, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// refresh takes over what an adoption that failed has journaled: a stop it asked
// for is ours, and what it put back is not put back again in a guest that runs.
func (u *undoing) refresh() {
	st := u.w.State()
	st.VMM, st.Monitor = u.st.VMM, u.st.Monitor
	*u.st = st
}

// dial undoes it over a new connection.
func (u *undoing) dial(ctx context.Context, spec target.Spec, opt gdbstub.Options, rep *Report) error {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	opt.RanBefore, opt.Orphan = u.ranBefore, u.st
	opt.Journal = nil // the journal tells of the first connection until all is undone
	way, err := gdbstub.Prepare(ctx, spec)
	if err != nil {
		return err
	}
	c, err := way.Dial(ctx, opt)
	if err != nil {
		return err
	}
	if ran, known := c.FoundRunning(); known && ran {
		// It stands because of this connection: so it may at the next try.
		defer func() { u.before, u.st.Interrupted = gdbstub.RunRunning, true }()
	}
	if err := c.Recover(ctx, u.st); err != nil {
		// That connection stopped a guest that ran.
		_, e := c.Leave(ctx)
		return errors.Join(err, e)
	}
	return u.leave(ctx, c, rep)
}

func (u *undoing) leave(ctx context.Context, c *gdbstub.Client, rep *Report) error {
	bye, err := c.Leave(ctx)
	if err != nil {
		return err
	}
	if !c.Undone() {
		return fmt.Errorf("%s: not all of it could be undone: %s", c.Spec(), bye.Note)
	}
	rep.Running, rep.Known, rep.Note = bye.Running, true, bye.Note
	return nil
}

// monitors are the ways around the link, the best first.
func (u *undoing) monitors() (list []journal.Monitor) {
	if u.st.Temp != nil {
		list = append(list, u.st.Temp.Monitor)
	}
	return append(list, u.st.VMM.Monitors...)
}

// startTick is the unit of a process's start time (proc(5), sysconf(_SC_CLK_TCK)),
// and by so much a start may seem later than it was.
const startTick = 10 * time.Millisecond

// startedAfter reports whether p certainly started after t, counted from the boot,
// so that it is not what was attached to then. Both are by the kernel's count, which
// nobody sets: a clock that is wrong, or was put right meanwhile, changes nothing.
func startedAfter(p journal.Process, t time.Duration) bool {
	return p.PID != 0 && t != 0 && time.Duration(p.Start)*startTick > t+startTick
}

func nobodyThere(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// local reports whether spec is on this host for certain.
func local(spec target.Spec) bool {
	return spec.Scheme == target.Unix || spec.Scheme == target.Serial ||
		strings.HasPrefix(spec.Addr, "127.") || strings.HasPrefix(spec.Addr, "localhost:") || strings.HasPrefix(spec.Addr, "[::1]") || strings.HasPrefix(spec.Addr, ":")
}
