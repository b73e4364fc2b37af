package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// IsMain reports whether this process was started to be a guard.
func IsMain(args []string) bool { return len(args) >= 3 && args[0] == Name }

// Main is the guard's process; it returns the exit status. A program that
// attaches under guard calls it first of all if IsMain says so.
func Main(args []string) int {
	// Whatever ends the client must not end the guard.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTSTP, syscall.SIGUSR1, syscall.SIGUSR2)
	// The kernel names a process after the descriptor it was started from.
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&[]byte(Name + "\x00")[0])), 0, 0, 0)
	n, err := strconv.Atoi(args[2])
	if err != nil || n < 0 || n > 16 {
		return 2
	}
	p := &process{
		dir:     folder{path: args[1], lock: os.NewFile(fdFolder, "folder")},
		control: os.NewFile(fdControl, "client"), find: make(chan struct{}, 1),
	}
	for i := range n {
		p.link = append(p.link, fdLink+i)
	}
	if err := p.run(); err != nil {
		p.logf("%v", err)
		return 1
	}
	return 0
}

// process is the guard.
type process struct {
	dir     folder
	control *os.File
	lease   *lease // nil without limits
	find    chan struct{}

	logMu sync.Mutex
	log   io.Writer

	linkMu sync.Mutex
	// link is its descriptors. As files they would be given to Go's network poller, and
	// all the stub says to the client would wake this process.
	link   []int
	untold bool // the stop ended last was not yet read by the client
	// ordered is when the guest was let run whose client died before it knew.
	ordered time.Time
}

// run waits for the client's end.
func (p *process) run() error {
	st, err := journal.Load(p.dir.journal())
	if err != nil {
		return err
	}
	if l, err := openLease(fdLease); err == nil { // else there are no limits
		p.lease = l
		go p.backstop(l, st)
		if st.MaxPause > 0 {
			go p.keepLease(l)
		}
	}
	me := self()
	p.tell(message{Guard: &me})
	go p.identify(st)
	buf := make([]byte, 64)
	for {
		n, err := p.control.Read(buf)
		if n == 0 || err != nil {
			return p.takeOver()
		}
		switch buf[0] {
		case sayRelease:
			p.closeLink()
		case sayFarewell:
			return nil
		case sayFind:
			select {
			case p.find <- struct{}{}:
			default:
			}
		}
	}
}

func (p *process) closeLink() {
	p.linkMu.Lock()
	defer p.linkMu.Unlock()
	for _, fd := range p.link {
		unix.Close(fd)
	}
	p.link = nil
}

func (p *process) tell(m message) {
	b, err := json.Marshal(m)
	if err == nil {
		_, _ = p.control.Write(b) // a client that is gone needs no telling
	}
}

// identifyAfter is how long the search for the VMM waits, so that it does not
// compete with the attachment itself.
const identifyAfter = 50 * time.Millisecond

// identify finds the VMM and tells the client, which journals it.
func (p *process) identify(st *journal.State) {
	select {
	case <-p.find:
	case <-time.After(identifyAfter):
	}
	v := findVMM(context.Background(), st.Spec, st.Monitor)
	p.tell(message{VMM: &v})
}

// takeOver undoes what the client has left behind.
func (p *process) takeOver() error {
	began := time.Now()
	w, err := journal.Continue(p.dir.journal())
	if os.IsNotExist(err) {
		return nil // it was leaving, and had only not said so
	}
	if err != nil {
		return err
	}
	if err := p.endedMeanwhile(w); err != nil {
		p.logf("%v", err) // it will be stopped to be looked at, then
	}
	st := w.State()
	if st.Left {
		p.dir.remove()
		return nil
	}
	p.logf("process %d (%s) ended without leaving %s", st.Client.PID, st.Verb, st.Spec)
	p.linkMu.Lock()
	var files []*os.File
	for _, fd := range p.link {
		files = append(files, os.NewFile(uintptr(fd), "link"))
	}
	p.link = nil
	p.linkMu.Unlock()
	u := undoing{w: w, st: &st, files: files, logf: p.logf, ordered: p.ordered}
	rep := u.persist(context.Background(), lingerFor)
	rep.Took = time.Since(began)
	p.logf("%s", rep)
	audit(stateOf(p.dir), rep.entry("guard"))
	if rep.Err != nil {
		return rep.Err // the journal stays for "ukdbg recover"
	}
	p.dir.remove()
	return nil
}

// endedMeanwhile ends the guard's watch over stops, and journals that the guest was
// let run if the guard did and the client never knew.
func (p *process) endedMeanwhile(w *journal.Writer) error {
	p.linkMu.Lock() // not between the decision and the order
	defer p.linkMu.Unlock()
	switch {
	case p.lease == nil || p.lease.state.Swap(leaseIdle)&leaseMask != leaseEnded:
		return nil
	case p.untold:
		// What the stub told of the stop is still to be read: it is the one that was
		// asked for.
		return errors.Join(w.Append(journal.Resume{}), w.Append(journal.Interrupt{}))
	}
	// The VMM may not have read the order yet.
	p.ordered = time.Now().Add(-p.lease.Ended())
	return w.Append(journal.Resume{})
}

// logf writes to the log beside the journal, which is made for the first line.
func (p *process) logf(format string, args ...any) {
	p.logMu.Lock()
	defer p.logMu.Unlock()
	if p.log == nil {
		f, err := os.OpenFile(p.dir.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return // nobody is left to tell
		}
		p.log = f
	}
	fmt.Fprintf(p.log, "%s "+format+"\n", append([]any{time.Now().Format(time.RFC3339Nano)}, args...)...)
}
