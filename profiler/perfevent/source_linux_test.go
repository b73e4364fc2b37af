package perfevent

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/vmm"
)

var keepRings = flag.Bool("record", false, "record testdata/*.ring anew on this machine")

// open opens a source; where the kernel refuses, it says why and the test does not
// run.
func open(t *testing.T, opt Options) *Source {
	t.Helper()
	s, err := Open(opt)
	var d *DeniedError
	if errors.As(err, &d) || errors.Is(err, ErrUnsupported) {
		t.Skipf("not run: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// spin burns the processor until the context ends.
//
//go:noinline
func spin(ctx context.Context) (n uint64) {
	for done := ctx.Done(); ; {
		for range 1 << 20 {
			n = n*6364136223846793005 + 1
		}
		select {
		case <-done:
			return n
		default:
		}
	}
}

// spinner is a thread of ours that burns until the test ends.
func spinner(t *testing.T) (tid int) {
	ctx, stop := context.WithCancel(context.Background())
	tids, done := make(chan int), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and it ends with the goroutine
		tids <- unix.Gettid()
		spin(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	return <-tids
}

// TestOrdinaryThread samples a thread of this process, the VMM's and KVM's share as
// it were: the events, the rings and the counting are the same as for a guest.
func TestOrdinaryThread(t *testing.T) {
	tid := spinner(t)
	s := open(t, Options{Threads: []Thread{{TID: tid, CPU: 0}}, Rate: 1000, Host: true})
	res, err := s.Run(t.Context(), 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var user, in, all, value int64
	for k, n := range res.Counts {
		all += n.N
		value += n.Time
		if k.Mode != HostUser {
			continue
		}
		user += n.N
		if f := runtime.FuncForPC(uintptr(k.IP)); f != nil && strings.HasSuffix(f.Name(), ".spin") {
			in += n.N
		}
	}
	want := res.Ran.Seconds() * 1000
	t.Logf("%s: %d samples in %v on a processor of %v, %d in user mode, %d in spin, %+v", res.Event, all, res.Ran, res.Wall, user, in, res.Losses)
	if float64(all) < 0.85*want || float64(all) > 1.15*want { // the period varies by a tenth
		t.Errorf("%d samples in %v at 1,000 a second", all, res.Ran)
	}
	if float64(value) < 0.9*float64(res.Ran) || float64(value) > 1.1*float64(res.Ran) {
		t.Errorf("the samples stand for %v of %v", time.Duration(value), res.Ran)
	}
	if user < all*8/10 || in < user*95/100 {
		t.Errorf("of %d samples %d are in user mode, %d of them in the function that burns", all, user, in)
	}
	if res.Host != all || res.Guest != 0 || res.Lost != 0 || res.Torn != 0 || res.Ended {
		t.Errorf("%+v", res)
	}
	if *keepRings {
		keep(t, s, "process.ring")
	}
}

// keep writes 320 of the last samples of the first ring, the first of the guest, if
// there is one, in their middle.
func keep(t *testing.T, s *Source, name string) {
	const size, want = 24, 320
	r := s.events[0].ring
	head := r.head.Load()
	held := min(head, uint64(len(r.data))) / size
	middle := uint64(want / 2)
	for i := middle; i+middle < held; i++ {
		r.at = head - (held-i)*size
		if Mode(parseHeader(r.bytes(headerSize)).misc & modeMask).Guest() {
			middle = i
			break
		}
	}
	r.at = head - (held-middle+want/2)*size
	data := make([]byte, 8192)
	copy(data, r.bytes(want*size))
	r.at = head
	if err := os.WriteFile(filepath.Join("testdata", name), append(binary.LittleEndian.AppendUint64(nil, want*size), data...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLostSamples lets a ring run over: the kernel's count of what it had no room
// for is told.
func TestLostSamples(t *testing.T) {
	tid := spinner(t)
	s := open(t, Options{Threads: []Thread{{TID: tid, CPU: 0}}, Rate: 20000, Host: true})
	if err := s.control(unix.PERF_EVENT_IOC_ENABLE); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	c := counter{res: Result{Counts: map[Key]Count{}}, host: true}
	s.read(&c)
	// The kernel writes the record of the loss before the next sample.
	time.Sleep(100 * time.Millisecond)
	s.read(&c)
	room := int64(ringPages * os.Getpagesize() / 24)
	t.Logf("%d samples, %+v", c.res.Host, c.res.Losses)
	if c.res.Host < room/2 || c.res.Torn != 0 {
		t.Fatalf("%d samples of a ring of %d, %+v", c.res.Host, room, c.res.Losses)
	}
	if c.res.Lost == 0 && c.res.Throttled == 0 {
		t.Errorf("20,000 samples a second for 2 s in a ring of %d: nothing is told to be lost", room)
	}
}

// TestThreadEnds: a run ends with the threads it looks at.
func TestThreadEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	tids := make(chan int)
	go func() {
		runtime.LockOSThread()
		tids <- unix.Gettid()
		spin(ctx)
	}()
	s := open(t, Options{Threads: []Thread{{TID: <-tids, CPU: 0}}, Rate: 100, Host: true})
	time.AfterFunc(200*time.Millisecond, stop)
	res, err := s.Run(t.Context(), 30*time.Second)
	if err != nil || !res.Ended || res.Wall > 20*time.Second {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, opt := range []Options{
		{Rate: 99}, {Threads: []Thread{{1, 0}}}, {Threads: []Thread{{1, 0}}, Rate: 1e9}, {Threads: make([]Thread, maxThreads+1), Rate: 99},
		{Threads: []Thread{{TID: 1 << 30}}, Rate: 99},
	} {
		if s, err := Open(opt); err == nil {
			t.Errorf("opened %d threads at %v Hz: %v", len(opt.Threads), opt.Rate, s.Close())
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		level                 int
		known, capable, eperm bool
		why, change           string
	}{
		{2, true, false, false, "perf_event_paranoid is 2", "setcap cap_perfmon"},
		{1, true, false, false, "another user's", "setcap cap_perfmon"},
		{0, false, false, false, "no CAP_PERFMON", "setcap cap_perfmon"},
		{2, true, true, true, "seccomp", "seccomp profile"},
		{4, true, true, false, "security module", ""},
	} {
		why, change := refusal(c.level, c.known, c.capable, c.eperm)
		if !strings.Contains(why, c.why) || !strings.Contains(change, c.change) {
			t.Errorf("%+v: %s; %s", c, why, change)
		}
	}
	err := denied(unix.EACCES)
	var d *DeniedError
	if !errors.As(err, &d) || !errors.Is(err, unix.EACCES) || d.Change == "" && !capable() {
		t.Errorf("%v", err)
	}
	if err := denied(errors.Join(errMapping, unix.EPERM)); !strings.Contains(err.Error(), "perf_event_mlock_kb") {
		t.Errorf("%v", err)
	}
	if err := denied(unix.ENOSYS); !errors.Is(err, ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

// TestGuest samples a guest under KVM. What a KVM gives differs: one that emulates
// the guest's kernel in the host's lets it be seen seldom or not at all.
func TestGuest(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("not run: the guest is for x86_64")
	}
	guesttest.NeedKVM(t)
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", Accel: "kvm", Append: "burn", Args: []string{"-name", "g,debug-threads=on"}})
	for end := time.Now().Add(20 * time.Second); !strings.Contains(vm.Console(), "heap"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Skipf("not run: the guest does not boot on this KVM; console: %q", vm.Console())
		}
	}
	v, err := vmm.FindVCPUs(vm.Pid())
	if err != nil || !v.KVM || v.Count != 1 || len(v.Threads) != 1 || v.Threads[0].CPU != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	s := open(t, Options{Threads: []Thread{{TID: v.Threads[0].TID, CPU: 0}}, Rate: 1000})
	res, err := s.Run(t.Context(), 8*time.Second)
	if res == nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d samples of the guest, %d of the VMM and KVM, in %v on a processor of %v, %v", res.Event, res.Guest, res.Host, res.Ran, res.Wall, err)
	if err != nil && !errors.Is(err, ErrNoGuest) {
		t.Fatal(err)
	}
	if errors.Is(err, ErrNoGuest) != (res.Guest == 0 && res.Host >= fewSamples) {
		t.Errorf("%d samples of the guest, and %v", res.Guest, err)
	}
	for k, n := range res.Counts {
		if k.CPU != 0 || !k.Mode.Guest() || k.IP < 0x100000 || k.IP >= 0x200000 {
			t.Errorf("%d samples at %#x in mode %d of CPU %d: not the guest's code", n.N, k.IP, k.Mode, k.CPU)
		}
	}
	if *keepRings {
		for range 120 {
			if res, err := s.Run(t.Context(), time.Second); err == nil && res.Guest > 0 {
				keep(t, s, "kvm.ring")
				return
			}
		}
		t.Fatal("two minutes, and no second of them saw the guest")
	}
}
