package gdbstub

import (
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

func TestQuirkBareStubDescribesNothing(t *testing.T) {
	s := stubtest.Bare()
	s.Listen(t)
	c, err := Dial(bg, s.Spec, Options{Arch: arch.X86_64})
	must(t, err)
	defer c.Close()
	r, err := c.ReadRegisters(bg, 0)
	must(t, err)
	for i, name := range []string{"rax", "rbx", "rcx"} {
		if v, ok := r.Named(name); !ok || v != uint64(i)*0x11 {
			t.Errorf("%s %#x %v", name, v, ok)
		}
	}
	if _, ok := r.Named("fs_base"); ok {
		t.Error("fs_base is said to be known")
	}
	if _, err := c.ReadMemory(bg, make([]byte, 400), 0x10); err == nil {
		t.Error("memory where there is none")
	}
	if n := c.Capabilities().MemoryChunk; n != defaultChunk {
		t.Errorf("missing memory was taken for a limit of %d bytes", n)
	}
	checkMemory(t, c, stubtest.Base, 3000) // it learns that 200 is the most
	if n := c.Capabilities().MemoryChunk; n != 128 {
		t.Errorf("the largest read is taken to be %d", n)
	}
	if _, known := c.FoundRunning(); known {
		t.Error("the run state is said to be known")
	}
	must(t, c.Resume(bg))
	eventually(t, "c", func() bool { return s.Count("c") == 1 })
	s.Stop("S05")
	wantStop(t, c, target.StopSignal)
	f, err := c.Leave(bg)
	if err != nil || !f.Running || f.Note == "" || s.Count("D") != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestQuirkNoArchitecture(t *testing.T) {
	c := dial(t, stubtest.Bare(), Options{})
	if _, err := c.ReadRegisters(bg, 0); !errors.Is(err, errNoArch) {
		t.Fatal(err)
	}
	checkMemory(t, c, stubtest.Base, 100)
	leaveErr := func() error { _, err := c.Leave(bg); return err }
	must(t, leaveErr())
}
