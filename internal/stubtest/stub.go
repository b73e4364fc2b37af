package stubtest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// Manners of a stub where they differ.
type Manners int

const (
	// Plain wants each packet acknowledged until QStartNoAckMode.
	Plain Manners = iota
	// LikeQEMU stops a running guest at any byte and throws the packet away,
	// takes '$' for an acknowledgement and tells stops nobody asked for.
	LikeQEMU
	// LikeUnikraft hears nothing while the guest runs, and takes any byte but
	// '+' after a packet of its own as a wish to have it again.
	LikeUnikraft
)

// Stub is a scripted stub. Fields are set before Listen; later they are
// touched only inside Do.
type Stub struct {
	Spec target.Spec

	Manners  Manners
	Features string            // the answer to qSupported
	XML      map[string]string // documents of qXfer:features:read
	Threads  string            // the answer to qfThreadInfo
	StopText string            // the answer to "?"
	Running  bool              // the guest runs
	// TellsNoStop: the stop at a client's connecting is not told (QEMU 8.1).
	// Forestall: the guest stops by itself just before the next byte that would stop it
	// is taken, and this is told of it, if anything.
	Forestall *string
	// TellsNoInterrupt: no stop reply says that a byte stopped the guest.
	TellsNoInterrupt bool
	TellsNoStop      bool
	HearsBreak       bool // LikeUnikraft: 0x03 stops the guest

	Base    uint64 // address of Mem
	Mem     []byte
	MaxRead int    // longest m in bytes, 0 for any
	Short   bool   // a longer m is cut, not refused
	Fault   string // the answer where there is no memory
	Regs    []byte // the g packet
	NoP     bool   // p and P are not known
	NoZ     bool   // Z and z are not known
	ZPatch  string // under KVM Z0 is in memory: the bytes it puts there, as hex

	// Answer has the first word. It is called with the stub locked.
	Answer func(p string) (reply string, ok bool)
	// Corrupt lets the next n packets go out with a wrong checksum.
	Corrupt int

	mu     sync.Mutex
	conn   io.ReadWriteCloser
	got    []string // packets received
	raw    []byte   // bytes received
	acks   bool
	state  int
	buf    []byte
	last   []byte // sent and not acknowledged
	again  int
	breaks map[string][]byte
	served int
}

// Listen serves clients on a unix socket, one at a time, until the test ends.
func (s *Stub) Listen(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "stub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.Spec = target.Spec{Scheme: target.Unix, Addr: filepath.Join(dir, "gdb")}
	l, err := net.Listen("unix", s.Spec.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.Serve(conn)
		}
	}()
}

// Serve serves one client until it goes.
func (s *Stub) Serve(conn io.ReadWriteCloser) {
	defer conn.Close()
	s.mu.Lock()
	s.conn, s.acks, s.state, s.last = conn, true, idle, nil
	s.served++
	if s.breaks == nil {
		s.breaks = map[string][]byte{}
	}
	switch {
	case s.Manners == LikeQEMU && s.Running:
		s.Running = false
		if !s.TellsNoStop {
			s.send("T02thread:01;")
		}
	case s.Manners == LikeUnikraft && !s.Running:
		s.send(s.StopText)
	}
	s.mu.Unlock()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		s.mu.Lock()
		s.raw = append(s.raw, buf[:n]...)
		for _, c := range buf[:n] {
			s.take(c)
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Do runs f with the stub locked.
func (s *Stub) Do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Got returns the packets received so far.
func (s *Stub) Got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

// Count returns how many packets received begin with prefix.
func (s *Stub) Count(prefix string) (n int) {
	for _, p := range s.Got() {
		if strings.HasPrefix(p, prefix) {
			n++
		}
	}
	return n
}

// Raw returns the bytes received so far.
func (s *Stub) Raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.raw)
}

// Stop makes the guest stop by itself and tells it by the packet text.
func (s *Stub) Stop(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Running = false
	s.send(text)
}

// Say sends bytes as they are.
func (s *Stub) Say(raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write([]byte(raw))
}

// Packet sends a packet.
func (s *Stub) Packet(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(text)
}

// Hangup closes the connection.
func (s *Stub) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.Close()
}

func (s *Stub) write(p []byte) {
	_, _ = s.conn.Write(p) // a client that is gone is noticed by Read
}

func (s *Stub) send(text string) {
	out := packet.Append(nil, []byte(text))
	if s.Corrupt > 0 {
		s.Corrupt--
		s.last = append(s.last[:0], out...)
		out[len(out)-1] ^= 1
	} else {
		s.last = append(s.last[:0], out...)
	}
	s.again = 0
	s.write(out)
	if !s.acks && s.Manners != LikeQEMU {
		s.last = s.last[:0]
	}
}

// States of the receiver.
const (
	idle = iota
	inside
	sum1
	sum2
)

// take is one byte from the client.
func (s *Stub) take(c byte) {
	if s.Manners == LikeUnikraft && s.Running {
		if c == packet.Interrupt && s.HearsBreak {
			s.Running = false
			s.send("S02")
		}
		return
	}
	if len(s.last) > 0 && s.waiting(c) {
		return
	}
	if s.Manners == LikeQEMU && s.Running && s.Forestall != nil {
		s.Running = false
		if text := *s.Forestall; text != "" {
			s.send(text)
		}
		s.Forestall = nil
	}
	if s.Manners == LikeQEMU && s.Running {
		s.Running = false
		if !s.TellsNoInterrupt {
			s.send("T02thread:p01.01;")
		}
		return
	}
	switch s.state {
	case idle:
		switch {
		case c == '$':
			s.state, s.buf = inside, s.buf[:0]
		case c == packet.Interrupt && s.Running:
			s.Running = false
			s.send("T02thread:1;")
		}
	case inside:
		switch c {
		case '#':
			s.state = sum1
		case '$':
			if s.Manners != LikeQEMU {
				s.buf = s.buf[:0]
				break
			}
			fallthrough // QEMU takes it for one of the packet
		default:
			s.buf = append(s.buf, c)
		}
	case sum1:
		s.state = sum2
	case sum2:
		s.state = idle
		if s.Manners == LikeQEMU && len(s.buf) > 0 && s.buf[0] == '$' {
			s.write([]byte{'-'}) // its sum is wrong
			return
		}
		if s.acks || s.Manners == LikeQEMU { // QEMU acknowledges whatever was agreed
			s.write([]byte{'+'})
		}
		s.got = append(s.got, string(s.buf))
		s.dispatch(string(s.buf))
	}
}

// waiting handles a byte while a packet of ours is not acknowledged. It
// reports whether the byte is used up.
func (s *Stub) waiting(c byte) bool {
	switch {
	case s.Manners == LikeQEMU:
		switch c {
		case '-':
			s.write(s.last)
		case '+', '$':
			s.last = s.last[:0]
		}
		return c != '$'
	case c == '+':
		s.last = s.last[:0]
		return true
	case c == '-' || s.Manners == LikeUnikraft:
		if s.again++; s.again > 5 {
			s.last = s.last[:0]
			s.Running = s.Manners == LikeUnikraft // it gives up and goes on
			return true
		}
		s.write(s.last)
		return true
	}
	return false
}
