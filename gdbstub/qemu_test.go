package gdbstub

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

func TestQEMUFoundRunning(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		v := startVM(t, vmOptions{arch: a})
		v.wantStatus("running")
		c := v.dial(Options{})
		if running, known := c.FoundRunning(); !running || !known {
			t.Fatalf("found running %v, known %v", running, known)
		}
		v.wantStatus("paused")
		at := pc(t, c, 0)
		if at < v.sym["_start"] || at > v.sym["work"]+32 {
			t.Fatalf("pc %#x is not in the loop", at)
		}
		f := leave(t, c)
		if !f.Running || f.Stops != 1 || f.Stopped <= 0 || f.Longest != f.Stopped {
			t.Fatalf("farewell %+v", f)
		}
		v.wantStatus("running")
		t.Logf("stopped for %v; %+v", f.Stopped, c.Stats())
	})
}

func TestQEMUFoundPaused(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		v := startVM(t, vmOptions{arch: a})
		v.qmp("stop")
		for i := range 3 {
			c := v.dial(Options{})
			if running, known := c.FoundRunning(); running || !known {
				t.Fatalf("found running %v, known %v", running, known)
			}
			if i == 1 { // having run it in between changes nothing
				if err := c.Insert(context.Background(), target.Breakpoint{Addr: v.sym["work"]}); err != nil {
					t.Fatal(err)
				}
				if err := c.Resume(context.Background()); err != nil {
					t.Fatal(err)
				}
				wantStop(t, c, target.StopBreakpoint)
			}
			if f := leave(t, c); f.Running {
				t.Fatalf("farewell %+v", f)
			}
			v.wantStatus([]string{"paused", "debug", "debug"}[i])
		}
		v.qmp("cont")
		time.Sleep(20 * time.Millisecond)
		v.wantStatus("running") // no breakpoint was left
	})
}

func TestQEMUMemory(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		v := startVM(t, vmOptions{arch: a})
		c := v.dial(Options{})
		ctx := context.Background()
		want := make([]byte, 8192)
		for i := range want {
			want[i] = byte(i*7 + i/256)
		}
		got := make([]byte, len(want))
		if err := target.ReadFull(ctx, c, got, v.sym["pattern"]); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v, equal %v", err, bytes.Equal(got, want))
		}
		var ranges []target.Range
		for i := range 200 {
			ranges = append(ranges, target.Range{Addr: v.sym["pattern"] + uint64(i*37), Data: make([]byte, 1+i%90)})
		}
		if err := c.ReadMany(ctx, ranges); err != nil {
			t.Fatal(err)
		}
		for i, r := range ranges {
			if r.Err != nil || !bytes.Equal(r.Data, want[i*37:][:len(r.Data)]) {
				t.Fatalf("range %d: %v", i, r.Err)
			}
		}
		new := []byte("written by the test")
		if err := c.WriteMemory(ctx, new, v.sym["pattern"]+5); err != nil {
			t.Fatal(err)
		}
		copy(want[5:], new)
		if err := target.ReadFull(ctx, c, got, v.sym["pattern"]); err != nil || !bytes.Equal(got, want) {
			t.Fatal("what was written is not read back")
		}
		if err := target.ReadFull(ctx, c.Physical(), got[:64], v.sym["pattern"]); err != nil || !bytes.Equal(got[:64], want[:64]) {
			t.Fatalf("physical: %v", err)
		}
		leave(t, c)
	})
}

func TestQEMUBreakpointStepWatch(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		v := startVM(t, vmOptions{arch: a})
		c := v.dial(Options{})
		ctx := context.Background()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, kind := range []target.BreakKind{target.BreakSoftware, target.BreakHardware} {
			b := target.Breakpoint{Kind: kind, Addr: v.sym["work"]}
			must(c.Insert(ctx, b))
			must(c.Resume(ctx))
			wantStop(t, c, target.StopBreakpoint)
			if at := pc(t, c, 0); at != v.sym["work"] {
				t.Fatalf("stopped at %#x, want %#x", at, v.sym["work"])
			}
			must(c.Remove(ctx, b))
			must(c.Resume(ctx, target.Action{CPU: 0, Step: true}))
			wantStop(t, c, target.StopStep)
			if at := pc(t, c, 0); at <= v.sym["work"] || at > v.sym["work"]+4 {
				t.Fatalf("stepped to %#x", at)
			}
		}
		w := target.Breakpoint{Kind: target.WatchWrite, Addr: v.sym["counter"], Len: 4}
		must(c.Insert(ctx, w))
		must(c.Resume(ctx))
		if s := wantStop(t, c, target.StopWatch); s.WatchAddr != v.sym["counter"] {
			t.Fatalf("%+v", s)
		}
		must(c.Remove(ctx, w))
		must(c.Resume(ctx))
		if !c.Running() {
			t.Fatal("not running")
		}
		if _, err := c.ReadMemory(ctx, make([]byte, 4), v.sym["counter"]); err != ErrRunning {
			t.Fatalf("reading a running guest: %v", err)
		}
		v.wantStatus("running") // and it was not disturbed
		must(c.Interrupt(ctx))
		wantStop(t, c, target.StopInterrupt)
		before, err := target.ReadUint(ctx, c, v.sym["counter"], 4)
		must(err)
		must(c.Resume(ctx))
		time.Sleep(10 * time.Millisecond)
		must(c.Interrupt(ctx))
		wantStop(t, c, target.StopInterrupt)
		after, err := target.ReadUint(ctx, c, v.sym["counter"], 4)
		must(err)
		if after == before {
			t.Fatal("the guest did not run")
		}
		must(c.Insert(ctx, target.Breakpoint{Addr: v.sym["work"]}))
		leave(t, c)
		time.Sleep(20 * time.Millisecond)
		v.wantStatus("running")
	})
}

func TestQEMULeaveWhileRunning(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	ctx := context.Background()
	c := v.dial(Options{})
	if err := c.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	if f := leave(t, c); !f.Running || f.Stops != 1 {
		t.Fatalf("%+v", f)
	}
	v.wantStatus("running")
	// With a watchpoint that is never hit it has to stop to be cleaned up.
	c = v.dial(Options{})
	if err := c.Insert(ctx, target.Breakpoint{Kind: target.WatchWrite, Addr: v.sym["pattern"], Len: 4}); err != nil {
		t.Fatal(err)
	}
	if err := c.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	if f := leave(t, c); !f.Running || f.Stops != 2 {
		t.Fatalf("%+v", f)
	}
	v.wantStatus("running")
	if f, err := c.Leave(ctx); err != nil || !f.Running {
		t.Fatalf("a second Leave: %+v, %v", f, err)
	}
	if _, err := c.ReadRegisters(ctx, 0); err != ErrLeft {
		t.Fatalf("after Leave: %v", err)
	}
}

func TestQEMURegisters(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		v := startVM(t, vmOptions{arch: a})
		c := v.dial(Options{})
		ctx := context.Background()
		if c.Arch() == nil || c.Arch().Name != a {
			t.Fatalf("arch %v", c.Arch())
		}
		if err := c.Insert(ctx, target.Breakpoint{Addr: v.sym["work"]}); err != nil {
			t.Fatal(err)
		}
		if err := c.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		wantStop(t, c, target.StopBreakpoint)
		r, err := c.ReadRegisters(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, reg := range c.Arch().Regs {
			if _, ok := r.Get(reg.Num); !ok {
				t.Errorf("%s is not known", reg.Name)
			}
		}
		base := map[string]string{"x86_64": "rbx", "arm64": "x0"}[a]
		if got, _ := r.Named(base); got != v.sym["counter"] {
			t.Errorf("%s = %#x, want %#x", base, got, v.sym["counter"])
		}
		reg, _ := c.Arch().Reg(base)
		if err := c.WriteRegister(ctx, 0, reg.Num, 0x1234); err != nil {
			t.Fatal(err)
		}
		if r, err = c.ReadRegisters(ctx, 0); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.Named(base); got != 0x1234 {
			t.Errorf("%s = %#x after writing 0x1234", base, got)
		}
		if err := c.WriteRegister(ctx, 0, reg.Num, v.sym["counter"]); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		sys, err := c.ReadSystemRegisters(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d system registers in %v", len(sys), time.Since(began))
		for _, name := range map[string][]string{"x86_64": {"cr0", "cr3", "efer", "xmm15", "st0"}, "arm64": {"ESR_EL1", "TTBR0_EL1", "SCTLR", "z0"}}[a] {
			if len(sys[name]) == 0 {
				t.Errorf("no %s", name)
			}
		}
		if a == "x86_64" && sys["cr0"][0]&1 != 1 {
			t.Errorf("cr0 %x: protected mode is off", sys["cr0"])
		}
		leave(t, c)
	})
}

func TestQEMUTwoProcessors(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		v := startVM(t, vmOptions{arch: a, smp: 2})
		c := v.dial(Options{})
		ctx := context.Background()
		cpus, err := c.CPUs(ctx)
		if err != nil || len(cpus) != 2 {
			t.Fatalf("%v, %v", cpus, err)
		}
		if p0, p1 := pc(t, c, 0), pc(t, c, 1); p0 == p1 {
			t.Fatalf("both processors at %#x", p0)
		}
		before := pc(t, c, 1)
		if err := c.Resume(ctx, target.Action{CPU: 0, Step: true}); err != nil {
			t.Fatal(err)
		}
		if s := wantStop(t, c, target.StopStep); s.CPU != 0 {
			t.Fatalf("%+v", s)
		}
		if after := pc(t, c, 1); after != before {
			t.Fatalf("CPU 1 moved from %#x to %#x", before, after)
		}
		if err := c.Insert(ctx, target.Breakpoint{Addr: v.sym["work"]}); err != nil {
			t.Fatal(err)
		}
		if err := c.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if s := wantStop(t, c, target.StopBreakpoint); s.CPU != 0 {
			t.Fatalf("%+v", s)
		}
		leave(t, c)
		v.wantStatus("running")
	})
}

func TestQEMUMonitor(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	out, err := c.Monitor(context.Background(), "info status")
	if err != nil || !strings.Contains(out, "paused") {
		t.Fatalf("%q, %v", out, err)
	}
	leave(t, c)
}
