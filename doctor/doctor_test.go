package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/doctor"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// examine returns the report's powers by name.
func examine(t *testing.T, target, image string) (*doctor.Report, map[string]doctor.Power) {
	t.Helper()
	r, err := doctor.Examine(context.Background(), doctor.Options{Target: target, Image: image})
	if err != nil {
		t.Fatal(err)
	}
	powers := map[string]doctor.Power{}
	for _, p := range r.Powers {
		powers[p.Name] = p
	}
	return r, powers
}

// mustBe checks the state of each power, in the order of a report.
func mustBe(t *testing.T, powers map[string]doctor.Power, want ...doctor.State) {
	t.Helper()
	for i, name := range []string{doctor.Memory, doctor.Registers, doctor.Trace, doctor.Threads, doctor.Breakpoints, doctor.Dump, doctor.NoStop} {
		if p := powers[name]; p.State != want[i] {
			t.Errorf("%s: %+v, want %s", name, p, want[i])
		}
	}
}

const (
	works   = doctor.Works
	ready   = doctor.Ready
	no      = doctor.No
	unknown = doctor.Unknown
)

func TestLiveGuest(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			vm := guesttest.Start(t, guesttest.Options{Image: image, GDB: "tcp", QMP: true})
			vm.WaitConsole(t, "requests served", 2*time.Minute)
			pid := fmt.Sprintf("pid:%d", vm.Pid())
			for _, target := range []string{vm.GDBAddr(), "qmp:" + vm.QMPPath, pid} {
				// The image is found beside the kernel.
				r, powers := examine(t, target, "")
				mustBe(t, powers, works, works, works, works, ready, ready, works)
				if p := powers[doctor.Perf]; p.State != no || !strings.Contains(p.Why, "emulated") || p.Change != "run it under KVM" {
					t.Errorf("perf: %+v", p)
				}
				if r.Guest == nil || r.Guest.PID != vm.Pid() || r.Guest.State != "running" || r.Image != vm.Debug || r.Match == nil || !*r.Match {
					t.Errorf("%s: %+v", target, r)
				}
				if !strings.Contains(powers[doctor.Threads].How, "7 threads") || !strings.Contains(powers[doctor.Breakpoints].How, vm.GDBAddr()) {
					t.Errorf("%+v", powers)
				}
			}
			// Another image is told, and memory is there all the same.
			stranger := filepath.Join(filepath.Dir(vm.Debug), "other.dbg")
			if err := os.WriteFile(stranger, patched(t, vm.Debug), 0o644); err != nil {
				t.Fatal(err)
			}
			r, powers := examine(t, pid, stranger)
			mustBe(t, powers, works, works, no, no, ready, ready, works)
			if r.Match == nil || *r.Match || powers[doctor.Threads].Why == "" {
				t.Errorf("%+v", r)
			}
			for _, e := range vm.Events() {
				t.Errorf("%s at %v", e.Name, e.Time())
			}
		})
	}
}

// patched is an image whose code differs.
func patched(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The code begins a page or more into the file.
	for i := 4096; i < 64<<10; i++ {
		data[i] ^= 0x5a
	}
	return data
}

// TestStubInUse: a stub serves one debugger at a time, and who that is is told. The
// monitor could open another one, which would end that session.
func TestStubInUse(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: kind, QMP: true})
		vm.WaitConsole(t, "requests served", 2*time.Minute)
		at := vm.GDBAddr()
		c, err := net.Dial(kind, strings.TrimPrefix(at, kind+":"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var p doctor.Power
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); { // until QEMU has taken the connection
			_, powers := examine(t, "qmp:"+vm.QMPPath, "")
			if p = powers[doctor.Breakpoints]; p.State == no {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if want := fmt.Sprintf("%s: in use by %d (", at, os.Getpid()); p.State != no || !strings.HasPrefix(p.Why, want) || !strings.HasPrefix(p.Change, "end that session") {
			t.Errorf("%s: %+v, want %q", kind, p, want)
		}
	}
}

// TestMonitorInUse: the only monitor is the test's, which holds it.
func TestMonitorInUse(t *testing.T) {
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64"})
	vm.WaitConsole(t, "requests served", 2*time.Minute)
	_, powers := examine(t, fmt.Sprintf("pid:%d", vm.Pid()), "")
	mustBe(t, powers, works, no, works, works, no, ready, works)
	for _, name := range []string{doctor.Registers, doctor.Breakpoints} {
		p := powers[name]
		if !strings.Contains(p.Why, fmt.Sprintf("in use by %d", os.Getpid())) || !strings.Contains(p.Change, "end what uses the monitor") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestNoGuest(t *testing.T) {
	for target, want := range map[string]error{
		"kraft:no-such-guest":                      ukdbg.ErrUnreachable,
		fmt.Sprintf("pid:%d", os.Getpid()):         ukdbg.ErrUnreachable,
		"pid:9000000":                              ukdbg.ErrUnreachable,
		"qmp:" + filepath.Join(t.TempDir(), "mon"): ukdbg.ErrUnreachable,
		"tcp:127.0.0.1:1":                          ukdbg.ErrUnreachable,
		"gopher:x":                                 ukdbg.ErrUsage,
	} {
		if r, err := doctor.Examine(context.Background(), doctor.Options{Target: target}); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", target, r, err)
		}
	}
}
