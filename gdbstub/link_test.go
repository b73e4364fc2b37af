package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// What links do: they are refused, break, lie and fall silent.

func TestDialErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, tc := range []struct {
		spec target.Spec
		want string
		is   error
	}{
		{target.Spec{Scheme: target.TCP, Addr: freePort(t)}, "nothing listens there", unix.ECONNREFUSED},
		{target.Spec{Scheme: target.TCP, Addr: "no-such-host.invalid:1"}, "no such host", nil},
		{target.Spec{Scheme: target.Unix, Addr: filepath.Join(dir, "none")}, "no such socket", os.ErrNotExist},
		{target.Spec{Scheme: target.Serial, Addr: filepath.Join(dir, "none")}, "cannot open the device", os.ErrNotExist},
		{target.Spec{Scheme: target.Serial, Addr: file}, "not a terminal", ErrNoTerminal},
		{target.Spec{Scheme: target.Exec, Addr: "echo no such thing >&2; exit 3"}, "no such thing", ErrNotStub},
		{target.Spec{Scheme: target.Exec, Addr: "echo SSH-2.0-OpenSSH"}, "SSH-2.0", ErrNotStub},
		{target.Spec{Scheme: target.Core, Addr: file}, "no GDB stub", nil},
	} {
		_, err := Dial(bg, tc.spec, Options{})
		if err == nil || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s: %v", tc.spec, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", tc.spec, err)
		}
	}
}

// serve answers one connection by f.
func serve(t *testing.T, network string, f func(net.Conn)) target.Spec {
	t.Helper()
	addr, scheme := "127.0.0.1:0", target.TCP
	if network == "unix" {
		addr, scheme = filepath.Join(t.TempDir(), "s"), target.Unix
	}
	l, err := net.Listen(network, addr)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f(conn)
		}
	}()
	return target.Spec{Scheme: scheme, Addr: l.Addr().String()}
}

func TestNotAStub(t *testing.T) {
	t.Parallel()
	read := func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c) // until the client goes
		c.Close()
	}
	for name, tc := range map[string]struct {
		f    func(net.Conn)
		is   []error
		want string
	}{
		"closes at once":  {func(c net.Conn) { c.Close() }, []error{ErrNotStub}, "without an answer"},
		"a banner":        {func(c net.Conn) { fmt.Fprint(c, "220 mail ready\r\n"); read(c) }, []error{ErrNotStub}, "220 mail"},
		"takes and waits": {read, []error{ErrNotStub, ErrSilent}, "boot wait"},
		"escape codes":    {func(c net.Conn) { fmt.Fprint(c, "\x1b[2J\x1b]0;x\a"); read(c) }, []error{ErrNotStub}, `\x1b[2J`},
	} {
		for _, network := range []string{"tcp", "unix"} {
			began := time.Now()
			_, err := Dial(bg, serve(t, network, tc.f), Options{})
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%s: took %v", name, took)
			}
			for _, is := range tc.is {
				if !errors.Is(err, is) || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%s, %s: %v", name, network, err)
				}
			}
		}
	}
}

// Nobody accepts: the stub serves somebody else.
func TestNeverAccepted(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, addr)
		must(t, err)
		defer l.Close()
		began := time.Now()
		_, err = Dial(bg, target.Spec{Scheme: target.Scheme(network), Addr: l.Addr().String()}, Options{})
		if took := time.Since(began); !errors.Is(err, ErrBusy) || took > 2*time.Second {
			t.Errorf("%s: %v after %v", network, err, took)
		}
	}
}

func TestStubDiesInTheMiddleOfAPacket(t *testing.T) {
	s := stubtest.QEMU()
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'm' {
			return "raw:$0011", true
		}
		return "", false
	}
	c := dial(t, s, Options{})
	done := make(chan error)
	go func() { _, err := c.ReadMemory(bg, make([]byte, 8), stubtest.Base); done <- err }()
	eventually(t, "request", func() bool { return s.Count("m") == 1 })
	s.Hangup()
	if err := <-done; !errors.Is(err, target.ErrLost) || !strings.Contains(err.Error(), "middle of a packet") {
		t.Fatal(err)
	}
	wantLost(t, c)
}

func TestDeadlineKeepsTheStreamInStep(t *testing.T) {
	s := stubtest.QEMU()
	slow := true
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'm' && slow {
			slow = false
			time.Sleep(60 * time.Millisecond)
		}
		return "", false
	}
	c := dial(t, s, Options{})
	ctx, cancel := context.WithTimeout(bg, 20*time.Millisecond)
	defer cancel()
	p := make([]byte, 0x4000)
	if _, err := c.ReadMemory(ctx, p, stubtest.Base); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	clear(p)
	for range 5 {
		checkMemory(t, c, stubtest.Base+0x100, 0x3000)
	}
	for i, b := range p {
		if b != 0 {
			t.Fatalf("byte %d of a read that was given up was written to later", i)
		}
	}
	_, err := c.ReadRegisters(bg, 0)
	must(t, err)
	if st := c.Stats(); st.Strays != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestDeadlineOfARead(t *testing.T) {
	s := stubtest.QEMU()
	silent := false
	s.Answer = func(p string) (string, bool) { return "none", silent }
	c := dial(t, s, Options{ReplyTimeout: 50 * time.Millisecond})
	s.Do(func() { silent = true })
	began := time.Now()
	_, err := c.ReadMemory(bg, make([]byte, 8), stubtest.Base)
	if !errors.Is(err, target.ErrLost) && !errors.Is(err, ErrMoved) {
		t.Fatal(err)
	}
	if _, err = c.ReadMemory(bg, make([]byte, 8), stubtest.Base); !errors.Is(err, target.ErrLost) {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Fatalf("a silent stub was noticed after %v", took)
	}
	wantLost(t, c)
}

// One packet gets no answer (QEMU from 8.1 on may swallow it in silence).
func TestSwallowedWithoutAWord(t *testing.T) {
	s := stubtest.QEMU()
	swallow := false
	s.Answer = func(p string) (string, bool) {
		if swallow && p[0] == 'm' {
			swallow = false
			return "none", true
		}
		return "", false
	}
	c := dial(t, s, Options{ReplyTimeout: 50 * time.Millisecond})
	s.Do(func() { swallow = true })
	if _, err := c.ReadMemory(bg, make([]byte, 0x2000), stubtest.Base); !errors.Is(err, ErrMoved) {
		t.Fatal(err)
	}
	if e := wait(t, c); e.Kind != target.EventResumed {
		t.Fatalf("%+v", e)
	}
	wantStop(t, c, target.StopInterrupt)
	checkMemory(t, c, stubtest.Base, 0x2000)
}

func TestWrongChecksumIsSentAgain(t *testing.T) {
	s := stubtest.Bare() // acknowledges, for it knows no QStartNoAckMode
	s.Listen(t)
	c, err := Dial(bg, s.Spec, Options{Arch: arch.X86_64})
	must(t, err)
	defer c.Close()
	s.Do(func() { s.Corrupt = 2 })
	checkMemory(t, c, stubtest.Base, 150)
	checkMemory(t, c, stubtest.Base+1000, 150)
	if st := c.Stats(); st.BadPackets != 2 {
		t.Fatalf("%+v", st)
	}
}

func TestRefusedPacketIsSentAgain(t *testing.T) {
	s := stubtest.Bare()
	n := 0
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'm' && n < 2 {
			n++
			return "raw:-", true
		}
		return "", false
	}
	s.Listen(t)
	c, err := Dial(bg, s.Spec, Options{Arch: arch.X86_64})
	must(t, err)
	defer c.Close()
	checkMemory(t, c, stubtest.Base, 100)
	if s.Count("m") != 3 {
		t.Fatalf("%q", s.Got())
	}
}

func TestHostileAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"not hex":        "zz",
		"too much":       strings.Repeat("00", 9),
		"odd":            "000",
		"wrong checksum": "raw:$0011223344556677#00",
		"notification":   "raw:%Stop:T05#" + sum("Stop:T05") + "$" + strings.Repeat("aa", 8) + "#" + sum(strings.Repeat("aa", 8)),
		"huge":           "raw:$" + strings.Repeat("0", 2<<20) + "#00",
		"run":            "raw:$0*~0*~0*~#" + sum("0*~0*~0*~"),
		"control":        "raw:\x03\x00\xff+-+$" + strings.Repeat("bb", 8) + "#" + sum(strings.Repeat("bb", 8)),
	} {
		s := stubtest.QEMU()
		once := true
		s.Answer = func(p string) (string, bool) {
			if p[0] == 'm' && once {
				once = false
				return answer, true
			}
			return "", false
		}
		c := dial(t, s, Options{})
		n, err := c.ReadMemory(bg, make([]byte, 8), stubtest.Base)
		good := name == "notification" || name == "control"
		if good != (err == nil) || err == nil && n != 8 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		checkMemory(t, c, stubtest.Base, 64) // and the stream is in step
	}
}

func TestUnreadablePages(t *testing.T) {
	s := stubtest.QEMU()
	hole := uint64(stubtest.Base + 0x3000)
	s.Answer = func(p string) (string, bool) {
		var addr, n uint64
		if _, err := fmt.Sscanf(p, "m%x,%x", &addr, &n); err == nil && addr+n > hole && addr < hole+0x1000 {
			return "E14", true
		}
		return "", false
	}
	c := dial(t, s, Options{})
	for _, tc := range []struct{ addr, n, want uint64 }{
		{hole - 8, 8, 8}, {hole - 8, 16, 8}, {hole - 3000, 0x4000, 3000}, {hole, 1, 0}, {hole + 0xfff, 2, 0},
		{hole + 0x1000, 100, 100}, {stubtest.Base, 0x8000, 0x3000}, {hole - 1, 0x800, 1},
	} {
		p := make([]byte, tc.n)
		n, err := c.ReadMemory(bg, p, tc.addr)
		var f *target.FaultError
		if uint64(n) != tc.want || (err == nil) != (tc.want == tc.n) || err != nil && (!errors.As(err, &f) || f.Addr != tc.addr+tc.want) {
			t.Errorf("%#x+%#x: %d bytes, %v; want %d", tc.addr, tc.n, n, err, tc.want)
		}
	}
	ranges := []target.Range{
		{Addr: hole - 100, Data: make([]byte, 200)},
		{Addr: stubtest.Base, Data: make([]byte, 0x2000)},
		{Addr: hole, Data: make([]byte, 1)},
		{Addr: stubtest.Base, Data: nil},
		{Addr: ^uint64(0) - 3, Data: make([]byte, 8)},
	}
	must(t, c.ReadMany(bg, ranges))
	for i, want := range []int{100, 0x2000, 0, 0, 0} {
		if r := ranges[i]; r.N != want || (r.Err == nil) != (r.N == len(r.Data)) {
			t.Errorf("range %d: %d bytes, %v", i, r.N, r.Err)
		}
	}
}
