package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestPrivileges observes a guest of one user as root, as that user, as another,
// and as another with capabilities: what each may do works, what it may not is a
// clear line that says what to change, and nobody stops the guest.
func TestPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be several users; run as root to test more than the own")
	}
	for _, opt := range []struct {
		name string
		args []string
		// blind: memory may be read without knowing which pages are there.
		blind bool
	}{
		{"anonymous", nil, true},
		// Reading an absent page of shared memory costs the host one.
		{"memfd", []string{"-object", "memory-backend-memfd,id=ram,size=64M,share=on", "-machine", "memory-backend=ram"}, false},
	} {
		t.Run(opt.name, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, UID: owner, Args: opt.args})
			g.WaitConsole(t, "requests served", patience)
			image := publish(t, g.Debug)
			for _, c := range []struct {
				who         persona
				mem, mon    bool
				why, change string // of memory, where it is refused
			}{
				{persona{"root", 0, nil}, true, true, "", ""},
				{persona{"owner", owner, nil}, true, true, "", ""},
				{persona{"another user", stranger, nil}, false, false, "it runs as u", "64321"},
				{persona{"CAP_SYS_PTRACE", stranger, []uintptr{capSysPtrace}}, opt.blind, false, "CAP_SYS_PTRACE alone", "CAP_DAC_READ_SEARCH"},
				{persona{"CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH", stranger, []uintptr{capSysPtrace, capDACReadSearch}}, true, false, "", ""},
			} {
				t.Run(c.who.name, func(t *testing.T) {
					p := privileged{t, g, c.who, image}
					p.observes("pid:"+strconv.Itoa(g.Pid()), c.mem, c.mon, c.why)
					p.observes("qmp:"+g.QMPPath, c.mon, c.mon, "no permission")
					p.lists(c.mem, c.mon)
					p.examines(c.mem, c.mon, c.why, c.change)
				})
			}
			for _, e := range g.Events() {
				if e.Name == "STOP" || e.Name == "RESUME" {
					t.Errorf("somebody stopped the guest: %s at %v", e.Name, e.Time())
				}
			}
			g.mustRun(t, true)
			g.mustBeClean(t)
			g.mustServe(t)
		})
	}
}

// publish makes a copy of a file that everybody may read.
func publish(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ukpub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	copied := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(copied, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return copied
}

type privileged struct {
	t     *testing.T
	g     *guest
	who   persona
	image string
}

// observes runs every observing verb on a target. Each works, or each is refused
// with the reason.
func (p privileged) observes(target string, works, registers bool, why string) {
	p.t.Helper()
	for _, verb := range [][]string{{"threads", "--json"}, {"heap", "--json"}, {"trace", "summary"}, {"attach"}} {
		args := append(append([]string{}, verb...), target, "-e", p.image)
		status, out, errs := as(p.t, p.who, "print server.stats.served\nquit\n", args...)
		said := fmt.Sprintf("%s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
		if !works {
			if status != exitUnreachable || !strings.Contains(errs, why) {
				p.t.Errorf("%s\nwant status %d and %q", said, exitUnreachable, why)
			}
			continue
		}
		if status != exitOK {
			p.t.Errorf("%s", said)
			continue
		}
		switch verb[0] {
		case "threads":
			var a struct{ Threads []threadJSON }
			if err := json.Unmarshal([]byte(out), &a); err != nil || len(a.Threads) != 7 {
				p.t.Errorf("%d threads, %v; %s", len(a.Threads), err, said)
			}
			for _, th := range a.Threads {
				// What runs has its registers in the processor, the rest in memory.
				if (registers || th.State != "running" && th.State != "ready") && len(th.Frames) < 2 {
					p.t.Errorf("%s: thread %s (%s) has %d frames: %s", target, th.Name, th.State, len(th.Frames), th.Error)
				}
			}
		case "heap":
			var a struct{ Allocators []allocatorJSON }
			if err := json.Unmarshal([]byte(out), &a); err != nil || len(a.Allocators) != 1 || a.Allocators[0].Total == nil {
				p.t.Errorf("no heap: %v; %s", err, said)
			}
		case "trace":
			if !strings.Contains(out, "request_serve") {
				p.t.Errorf("no requests; %s", said)
			}
		case "attach":
			_, value, _ := strings.Cut(out, "= ")
			n, err := strconv.ParseUint(strings.Fields(value + " -")[0], 10, 64)
			if err != nil || n == 0 {
				p.t.Errorf("served %q; %s", value, said)
			}
		}
	}
}

// lists finds the guest with ls, which works for everybody.
func (p privileged) lists(mem, mon bool) {
	p.t.Helper()
	status, out, errs := as(p.t, p.who, "", "ls", "--json")
	var a struct{ Guests []lsGuestJSON }
	if err := json.Unmarshal([]byte(out), &a); status != exitOK || err != nil {
		p.t.Fatalf("ls: status %d, %v\n%s%s", status, err, out, errs)
	}
	for _, g := range a.Guests {
		if g.PID != p.g.Pid() {
			continue
		}
		if g.UID != owner || g.Kind != "qemu" || g.Arch != "x86_64" || g.Target != fmt.Sprintf("pid:%d", g.PID) {
			p.t.Errorf("%+v", g)
		}
		open := map[string]bool{}
		for _, w := range g.Ways {
			if w.Path == p.g.QMPPath || w.Kind == "memory" {
				open[w.Kind] = w.Open
			}
			if !w.Open && w.Note == "" {
				p.t.Errorf("%+v is closed and says not why", w)
			}
		}
		if open["memory"] != mem || open["monitor"] != mon {
			p.t.Errorf("memory %v, monitor %v, want %v, %v: %+v", open["memory"], open["monitor"], mem, mon, g.Ways)
		}
		if (g.State == "running") != mon {
			p.t.Errorf("state %q from %s", g.State, g.StateFrom)
		}
		// The image beside the kernel is the owner's alone.
		reads := len(p.who.caps) != 1 && p.who.uid != stranger || len(p.who.caps) > 1
		if (g.Image.Match != nil && *g.Image.Match) != (mem && reads) {
			p.t.Errorf("image %+v", g.Image)
		}
		if p.who.uid == stranger && len(p.who.caps) == 0 && len(g.Unseen) == 0 {
			p.t.Error("what was not to be seen is not said")
		}
		return
	}
	p.t.Errorf("ls does not list the guest:\n%s", out)
}

// examines asks the doctor.
func (p privileged) examines(mem, mon bool, why, change string) {
	p.t.Helper()
	status, out, errs := as(p.t, p.who, "", "doctor", "pid:"+strconv.Itoa(p.g.Pid()), "-e", p.image, "--json")
	var r doctorReport
	if err := json.Unmarshal([]byte(out), &r); status != exitOK || err != nil {
		p.t.Fatalf("doctor: status %d, %v\n%s%s", status, err, out, errs)
	}
	if (r.Image.Match != nil && *r.Image.Match) != mem {
		p.t.Errorf("image %+v", r.Image)
	}
	for _, power := range r.Powers {
		want := map[bool]string{true: "works", false: "no"}
		expect := want[mem]
		switch power.Name {
		case "registers":
			expect = want[mon]
		case "perf":
			expect = "no" // an emulated guest's code runs on no processor
		case "breakpoints":
			if expect = "no"; mon {
				expect = "ready"
			}
		case "dump":
			if expect = "no"; mem {
				expect = "ready"
			}
		}
		if power.State != expect {
			p.t.Errorf("%+v, want %s", power, expect)
		}
		if power.State == "no" && (power.Why == "" || power.Change == "") {
			p.t.Errorf("%s does not work and nothing is said: %+v", power.Name, power)
		}
		if power.Name == "memory" && !mem && (!strings.Contains(power.Why, why) || !strings.Contains(power.Change, change)) {
			p.t.Errorf("%+v", power)
		}
	}
}
