package main

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

// symbol is a function's address, and what the image holds there.
func (g *guest) symbol(t *testing.T, name string) (addr uint64, text []byte) {
	t.Helper()
	f, err := elf.Open(g.Debug)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == name {
			return s.Value, g.text[s.Value-g.at:]
		}
	}
	t.Fatalf("no symbol %s", name)
	return 0, nil
}

// inDump is what a dump holds at a physical address, without an image that would tell
// better.
func inDump(t *testing.T, file string, at uint64, n int) string {
	t.Helper()
	d, err := corefile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p := make([]byte, n)
	if err := target.ReadFull(t.Context(), d.Physical(), p, at); err != nil {
		t.Error(err)
	}
	return string(p)
}

// Another debugger's breakpoint is a byte in the guest's memory under KVM. Here it is
// put into the file that is the guest's RAM, in code that never runs: it is masked in
// what is read, by the image or by a journal, and told; and the image is proved.
func TestForeignBreakpoint(t *testing.T) {
	for _, c := range []struct {
		image string
		base  uint64 // of RAM
		brk   string
		args  []string
	}{
		{"ukguest-x86_64", 0, "\xcc", nil},
		{"ukguest-arm64", 0x4000_0000, "\x00\x00\x20\xd4", nil},
	} {
		t.Run(c.image, func(t *testing.T) {
			ram := filepath.Join(t.TempDir(), "ram")
			g := boot(t, guesttest.Options{Image: c.image, QMP: true, GDB: "unix",
				Args: []string{"-object", "memory-backend-file,id=m,size=64M,share=on,mem-path=" + ram, "-machine", "memory-backend=m"}})
			g.WaitConsole(t, "requests served", patience)
			at, want := g.symbol(t, "fault_null")
			f, err := os.OpenFile(ram, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			was := make([]byte, len(c.brk))
			if _, err := f.ReadAt(was, int64(at-c.base)); err != nil || string(was) != string(want[:len(was)]) {
				t.Fatalf("the file is not the guest's RAM: % x, %v", was, err)
			}
			plain := map[string]string{}
			for _, spec := range []string{"qmp:" + g.QMPPath, fmt.Sprint("pid:", g.Pid()), g.GDBAddr()} {
				plain[spec] = mustVerb(t, "attach", spec, "-e", g.Debug, "--batch", "--ex", "x/3i fault_null")
			}
			if _, err := f.WriteAt([]byte(c.brk), int64(at-c.base)); err != nil {
				t.Fatal(err)
			}
			for spec, before := range plain {
				out := mustVerb(t, "attach", spec, "-e", g.Debug, "--batch", "--ex", "x/3i fault_null", "--ex", "info image")
				if code, _, _ := strings.Cut(before, "\nguest"); !strings.HasPrefix(out, code) {
					t.Errorf("%s: the code is shown otherwise with a breakpoint in it:\n%s\nwithout\n%s", spec, out, before)
				}
				if !strings.Contains(out, "another debugger's breakpoint at") || !strings.Contains(out, "fault_null") {
					t.Errorf("%s: it is not told:\n%s", spec, out)
				}
				if out := mustVerb(t, "threads", spec, "-e", g.Debug); !strings.Contains(out, "worker-1") {
					t.Errorf("%s:\n%s", spec, out)
				}
			}
			for spec := range plain {
				for _, kind := range [][]string{nil, {"--minimal"}} {
					file := filepath.Join(t.TempDir(), "dump")
					out := mustVerb(t, append([]string{"dump", spec, "-e", g.Debug, "-o", file}, kind...)...)
					if got := inDump(t, file, at, len(was)); got != string(was) {
						t.Errorf("dump %v of %s: % x at %#x, want % x\n%s", kind, spec, got, at, was, out)
					}
				}
			}
			if _, err := f.WriteAt(was, int64(at-c.base)); err != nil {
				t.Fatal(err)
			}
			g.mustServe(t)
		})
	}
}

// A journal of a live session tells of its breakpoints also where no image does: here
// of one in memory that is not the image's.
func TestForeignBreakpointByJournal(t *testing.T) {
	ram := filepath.Join(t.TempDir(), "ram")
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true,
		Args: []string{"-object", "memory-backend-file,id=m,size=64M,share=on,mem-path=" + ram, "-machine", "memory-backend=m"}})
	g.WaitConsole(t, "requests served", patience)
	const at = 0x3c0_0123
	want := []byte{0x48}
	f, err := os.OpenFile(ram, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xcc}, int64(at)); err != nil {
		t.Fatal(err)
	}
	look := func(s *process) string {
		s.send(t, fmt.Sprintf("x/1xb %#x\n", at))
		s.send(t, "info target\n")
		return s.wait(t, "cost so far")
	}
	s := spawn(t, "attach", "qmp:"+g.QMPPath, "-e", g.Debug)
	s.wait(t, "help for commands")
	if out := look(s); !strings.Contains(out, "0xcc") {
		t.Errorf("without a journal: %s", out)
	}
	state := ""
	for _, e := range s.cmd.Env {
		if dir, ok := strings.CutPrefix(e, "XDG_STATE_HOME="); ok {
			state = dir
		}
	}
	dir := filepath.Join(state, "ukdbg", "guard", "theirs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := journal.Create(filepath.Join(dir, "journal"), journal.Begin{Spec: "unix:/elsewhere", Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, r := range []journal.Record{
		journal.Identified{VMM: journal.VMM{Process: journal.Process{PID: g.Pid()}}},
		journal.Insert{Break: journal.Break{Addr: at, Len: 1, Orig: want[:1]}},
	} {
		if err := w.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if out := look(s); !strings.Contains(out, fmt.Sprintf("%#02x", want[0])) || strings.Contains(out, "0xcc") {
		t.Errorf("with a journal: %s", out)
	}
	if n := g.stopped(); n != 0 {
		t.Errorf("the guest was stopped %d times", n)
	}
}

// The same for real: under KVM a session's breakpoint is in memory while the guest
// runs, and another session that observes it sees the code.
func TestForeignBreakpointKVM(t *testing.T) {
	guesttest.NeedKVM(t)
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true, Accel: "kvm"})
	g.mustServe(t)
	s := spawn(t, "attach", g.GDBAddr(), "-e", g.Debug)
	s.wait(t, "help for commands")
	at, want := g.symbol(t, "fault_null")
	s.send(t, "break *"+fmt.Sprintf("%#x", at)+"\ncontinue\n")
	for deadline := time.Now().Add(patience); g.code(t)[at-g.at] != 0xcc; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no breakpoint in memory\n%s", s.output())
		}
	}
	out := mustVerb(t, "attach", "qmp:"+g.QMPPath, "-e", g.Debug, "--batch", "--ex", fmt.Sprintf("x/1xb %#x", at), "--ex", "info image")
	if !strings.Contains(out, fmt.Sprintf("%#02x", want[0])) || !strings.Contains(out, "another debugger's breakpoint at") {
		t.Errorf("it is shown:\n%s", out)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); g.code(t)[at-g.at] == 0xcc && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond) // its guard takes it out
	}
	g.mustBeAsFound(t, true)
}
