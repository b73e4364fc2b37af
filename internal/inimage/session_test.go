package inimage

import (
	"strings"
	"testing"
	"time"
)

// A session that begins at the boot wait, on a stub as Unikraft has it.
func TestBootWait(t *testing.T) {
	eachWay(t, func(t *testing.T, arch, serial string) {
		g := boot(t, arch, serial, "debug.gdbwait")
		g.waits(t)
		d := g.attach(t)
		if said := d.out.text(); !strings.Contains(said, "never on ^C") || !strings.Contains(said, "patched into its text") ||
			!strings.Contains(said, "image matches the guest") {
			t.Errorf("the welcome does not say what this stub is:\n%s", said)
		}
		d.says("info target", "found:        paused", "in-image stub", "interrupt:    no", "watchpoints:  no", "there is no detach")
		d.says("bt", "gdb_stub_breakpoint", "kmain")
		d.says("break request_parse", "Breakpoint 1 at ", "request.c")
		d.says("continue", "Breakpoint 1, request_parse", "GET /")
		d.says("info threads", "acceptor", "worker-2", "disk", "main")
		d.says("bt", "request_parse", "accept_one", "acceptor_main")
		d.says("print r->id", "= 1\n")
		d.says("print id", "No symbol")
		d.says("step", "request.c:")
		d.says("next", "request.c:")
		// Whatever the steps went into is left again, up to request_parse's caller.
		d.says("frame function request_parse", "request_parse")
		d.says("finish", "Run till exit", "accept_one", "Value returned is $")
		d.says("continue", "Breakpoint 1, request_parse")
		d.says("print r->id", "= 2\n")
		// What the stub cannot do is told when it is asked for.
		d.says("watch server.stats.served", "not supported", "no watchpoints", "set a breakpoint where the datum is used")
		d.says("hbreak serve", "not supported", "no hardware breakpoints")
		d.says("profile 1 20", "not supported", "entered only by a trap")
		d.leave()
		g.unpatched(t, "request_parse", "accept_one")
		g.serves(t)
	})
}

// Nobody can stop the guest once it runs; the session says so, goes on waiting
// when asked to, and can be left.
func TestCannotBeStopped(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, arch, "tcp", "debug.gdbwait")
			g.waits(t)
			d := g.attach(t)
			stop := time.AfterFunc(300*time.Millisecond, d.Interrupt)
			defer stop.Stop()
			d.says("continue", "which runs on", "entered only by a trap")
			d.says("info threads", "running")
			d.leave()
			g.unpatched(t, "request_parse")
			g.serves(t)
		})
	}
}

// A running guest whose stub hears nothing: the error says what to do, and costs
// the guest nothing.
func TestRunningGuestIsDeaf(t *testing.T) {
	crossed(t, func(t *testing.T, arch, serial string) {
		g := boot(t, arch, serial, "debug.gdb=1")
		g.WaitConsole(t, "requests served", patience)
		began := time.Now()
		s, err := g.open(t)
		if err == nil {
			s.Leave(t.Context())
			t.Fatal("a running guest was attached")
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("it took %v to say so", took)
		}
		for _, want := range []string{"stub inside the guest", "boot the guest so that it waits", "no answer"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		g.serves(t)
	})
}

// The variant that looks for ^C: attached while it runs, stopped and sampled.
func TestRunningGuestHears(t *testing.T) {
	crossed(t, func(t *testing.T, arch, serial string) {
		g := boot(t, arch, serial, "debug.gdbint=1 burn")
		g.WaitConsole(t, "requests served", patience)
		d := g.attach(t)
		d.says("info target", "found:        running", "interrupt:    yes")
		d.says("break fault_crash", "Breakpoint 1 at ")
		stop := time.AfterFunc(300*time.Millisecond, d.Interrupt)
		defer stop.Stop()
		d.says("continue", "Continuing.")
		d.says("info threads", "worker-1", "acceptor", "burner")
		d.says("profile 1 10", "samples in", "100.0 %")
		d.says("tbreak request_parse", "Temporary breakpoint 2")
		d.says("continue", "Temporary breakpoint 2, request_parse")
		d.leave()
		g.unpatched(t, "fault_crash", "request_parse")
		g.serves(t)
	})
}
