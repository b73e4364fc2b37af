package guard

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
)

// Self is the command for a program whose main calls Main.
func Self() []string { return []string{"/proc/self/exe"} }

// Name is what the guard's process is called; Main recognises itself by it.
const Name = "ukdbg-guard"

// The guard's descriptors. Those of the link follow.
const (
	fdControl = 3 + iota
	fdFolder
	fdLease
	fdProgram // what the waiter becomes
	fdLink
)

// Messages of the client, one byte each. Its end without a farewell is a death.
const (
	sayRelease  = 'R' // close the link's descriptors
	sayFarewell = 'B' // all is undone
	sayFind     = 'F' // find the VMM now
)

// watcher is the client's side of the guard.
type watcher struct {
	pid     int
	control *os.File
	lease   *lease // nil without limits
	w       *journal.Writer
	onLost  func()

	mu   sync.Mutex
	over bool          // we said farewell
	lost atomic.Bool   // it died first
	gone chan struct{} // closed when it is gone
	up   chan struct{} // closed when it has told that it is there
	// found is closed when the guard has told what VMM it is.
	found chan struct{}
	told  sync.Once
	began sync.Once
}

// watch starts the guard for the attachment in dir, whose link has the
// descriptors files.
func watch(opt Options, dir folder, w *journal.Writer, files []*os.File) (*watcher, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	g := &watcher{control: os.NewFile(uintptr(pair[0]), "guard"), w: w, onLost: opt.Lost, gone: make(chan struct{}), up: make(chan struct{}), found: make(chan struct{})}
	// The guard's end is its own as soon as it has it: one that dies at once is
	// told by the end of the pair, and must not be waited for.
	handOver := sync.OnceFunc(func() { syscall.Close(pair[1]) })
	defer handOver()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		g.control.Close()
		return nil, err
	}
	defer null.Close()
	leaseFD := null.Fd()
	if opt.MaxPause > 0 || opt.HungAfter > 0 {
		if g.lease, err = newLease(opt.MaxPause, opt.HungAfter); err != nil {
			g.control.Close()
			return nil, err
		}
		defer g.lease.handOver()
		leaseFD = uintptr(g.lease.fd)
	}
	program, err := unix.Open(opt.Command[0], unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		g.control.Close()
		return nil, &os.PathError{Op: "open", Path: opt.Command[0], Err: err}
	}
	defer unix.Close(program)
	fds := []uintptr{null.Fd(), null.Fd(), null.Fd(), uintptr(pair[1]), dir.lock.Fd(), leaseFD, uintptr(program)}
	for _, f := range files {
		// Not File.Fd: that would make it block, for everybody.
		c, err := f.SyscallConn()
		if err == nil {
			err = c.Control(func(fd uintptr) { fds = append(fds, fd) })
		}
		if err != nil {
			g.control.Close()
			return nil, err
		}
	}
	args := append([]string{Name, dir.path, strconv.Itoa(len(files))}, opt.Command[1:]...)
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: fds, Sys: &syscall.SysProcAttr{Setsid: true}}
	err = syscall.ENOENT
	if path := waiterPath(); path != "" && opt.MaxPause <= 0 { // a cap wants a guard that is awake
		g.pid, err = syscall.ForkExec(path, args, attr)
	}
	if err != nil {
		g.pid, err = syscall.ForkExec(opt.Command[0], args, attr)
	}
	handOver()
	if err != nil {
		g.control.Close()
		return nil, fmt.Errorf("%s: %w", opt.Command[0], err)
	}
	go g.listen()
	if g.lease != nil {
		go g.lease.beatUntil(g.gone)
	}
	if opt.MaxPause > 0 {
		select {
		case <-g.up:
		case <-g.gone: // told by listen
		case <-time.After(upPatience):
		}
	}
	return g, nil
}

// upPatience is how long an attachment whose stops have a cap waits for its guard
// to be awake. It goes on without; the client keeps to the cap itself.
const upPatience = 500 * time.Millisecond

// listen takes what the guard tells until it is gone.
func (g *watcher) listen() {
	buf := make([]byte, 64<<10)
	for {
		n, err := g.control.Read(buf)
		if n == 0 || err != nil {
			break
		}
		g.take(buf[:n])
	}
	g.mu.Lock()
	died := !g.over
	g.mu.Unlock()
	g.lost.Store(died)
	close(g.gone)
	if died && g.onLost != nil {
		g.onLost()
	}
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(g.pid, &status, 0, nil) // it is our child and has ended
}

// take is one message: the guard's own identity, or the VMM's.
func (g *watcher) take(p []byte) {
	var m message
	if json.Unmarshal(p, &m) != nil {
		return
	}
	// A journal that is closed by now needs it no more.
	if m.Guard != nil {
		_ = g.w.Append(journal.Guarded{Process: *m.Guard})
		g.began.Do(func() { close(g.up) })
	}
	if m.VMM != nil {
		if m.VMM.PID != 0 || len(m.VMM.Monitors) > 0 {
			_ = g.w.Append(journal.Identified{VMM: *m.VMM})
		}
		g.told.Do(func() { close(g.found) })
	}
}

// message is what the guard tells the client.
type message struct {
	Guard *journal.Process `json:",omitempty"`
	VMM   *journal.VMM     `json:",omitempty"`
}

func (g *watcher) say(b byte) {
	// A guard that is gone is noticed by listen.
	_, _ = g.control.Write([]byte{b})
}

// release has the guard let the link go.
func (g *watcher) release() {
	if g != nil {
		g.say(sayRelease)
	}
}

// farewell ends the guard: there is nothing left to undo.
func (g *watcher) farewell() {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.over = true
	g.mu.Unlock()
	g.say(sayFarewell)
	g.control.Close()
}

// findNow has the guard find the VMM and reports whether it has.
func (g *watcher) findNow(patience time.Duration) bool {
	g.say(sayFind)
	select {
	case <-g.found:
		return true
	case <-g.gone:
	case <-time.After(patience):
	}
	return false
}

func (g *watcher) isLost() bool { return g.lost.Load() }

// dies waits for the guard's end and reports whether it died before the farewell.
func (g *watcher) dies() bool {
	<-g.gone
	return g.isLost()
}

// stands is the guard as whoever stands by to end a stop, nil if there are no
// limits.
func (g *watcher) stands() gdbstub.Lease {
	if g.lease == nil {
		return nil
	}
	return g.lease
}
