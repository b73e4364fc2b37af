package ukdbg_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/kernel"
)

// TestOwnAddressIsNoCall: the address of a function that lies behind a call that
// never returns, such as that of a thread's entry on a stack of which nothing else
// was used, is no return address of that call. A guest that is well is not made a
// crashed one of by it, in a dump that has no registers.
func TestOwnAddressIsNoCall(t *testing.T) {
	const base = 1 << 30 // of RAM, and what is there is mapped one to one
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-arm64-ssp"})
	vm.WaitConsole(t, "requests served", time.Minute)
	file := filepath.Join(t.TempDir(), "ram")
	open := func() *ukdbg.Session {
		s, err := ukdbg.Open(t.Context(), ukdbg.Options{Target: "core:" + file, Image: vm.Debug})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(context.Background()) })
		return s
	}
	// The first thread has the boot's stack, of which no structure tells.
	var s *ukdbg.Session
	stack := uint64(0)
	for try := 0; stack == 0; try++ {
		if try == 50 {
			t.Fatal("no thread with a stack of its own runs whenever it is looked at")
		}
		vm.QMP(t, "cont", nil)
		time.Sleep(7 * time.Millisecond)
		vm.QMP(t, "stop", nil)
		vm.QMP(t, "pmemsave", map[string]any{"val": base, "size": 64 << 20, "filename": file})
		s = open()
		threads, err := s.Threads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, th := range threads {
			if th.State == kernel.Running {
				stack = th.Stack
			}
		}
		if stack == 0 {
			s.Close(t.Context()) // the file is written anew
		}
	}
	// The call is the last instruction of the function before it.
	entry, err := s.Number(t.Context(), "(unsigned long)acceptor_main", nil)
	if err != nil {
		t.Fatal(err)
	}
	if name, _, _ := s.Symbolize(entry); name != "acceptor_main" {
		t.Fatalf("acceptor_main is at %#x, where %s is", entry, name)
	}
	if before, err := s.Disassemble(t.Context(), entry-4, 1); err != nil || len(before) != 1 || !strings.Contains(before[0].Text, "__stack_chk_fail") {
		t.Fatalf("before acceptor_main is %v, %v: this proves nothing", before, err)
	}

	// The far end of the running thread's stack was never used.
	ram, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	page := make([]byte, 4096)
	if _, err := ram.ReadAt(page, int64(stack-base)); err != nil || stack == 0 {
		t.Fatalf("the running thread's stack at %#x: %v", stack, err)
	}
	for _, b := range page {
		if b != 0 {
			t.Fatalf("the stack at %#x is in use", stack)
		}
	}
	binary.LittleEndian.PutUint64(page[2048:], entry)
	if _, err := ram.WriteAt(page, int64(stack-base)); err != nil {
		t.Fatal(err)
	}
	if rep, err := open().MachineFault(t.Context()); !ukdbg.IsNoFault(err) {
		t.Errorf("%v\n%s", err, rep.Text)
	}
}
