package stepdiff

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// edges holds, for each address a step began at, the addresses it ended at. A
// step into an inlined call, which gdb counts but which moves nothing, is left
// out.
type edges map[uint64]map[uint64]bool

func (e edges) add(from, to uint64) {
	if from == to {
		return
	}
	if e[from] == nil {
		e[from] = map[uint64]bool{}
	}
	e[from][to] = true
}

// steps and rounds are how far each debugger goes from each breakpoint, and how
// often: a branch may go either way.
const steps, rounds = 20, 3

var places = []string{"serve", "handle_get", "cache_get", "queue_put"}

func TestStepsAsGDB(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		for kind, name := range map[ukdbg.StepKind]string{ukdbg.StepOver: "next", ukdbg.StepInto: "step"} {
			t.Run(image+"/"+name, func(t *testing.T) {
				vm := guesttest.Start(t, guesttest.Options{Image: image, GDB: "tcp"})
				time.Sleep(time.Second)
				theirs := gdbSteps(t, vm, name)
				ours := ourSteps(t, vm, kind)
				compare(t, vm.Debug, ours, theirs)
			})
		}
	}
}

// compare demands that some step from each address went where one of gdb's did,
// of those both stepped from. Steps back to callers count only if it is the same
// caller: a function has many.
func compare(t *testing.T, image string, ours, theirs edges) {
	im, err := symbolizer.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	function := func(a uint64) uint64 {
		f, _ := im.Function(a)
		return f.Entry
	}
	shared := 0
	for from, to := range ours {
		common, stayed, met := false, false, false
		for a := range to {
			common = common || theirs[from][a]
			stayed = stayed || function(a) == function(from)
			for b := range theirs[from] {
				stayed = stayed || function(b) == function(from)
				met = met || function(a) == function(b)
			}
		}
		if theirs[from] == nil || !stayed && !met {
			continue
		}
		if shared++; !common {
			t.Errorf("from %#x: to %s, gdb to %s", from, list(to), list(theirs[from]))
		}
	}
	if shared < 20 {
		t.Errorf("only %d addresses from which both stepped, of %d and gdb's %d", shared, len(ours), len(theirs))
	}
}

func list(set map[uint64]bool) string {
	var out []string
	for a := range set {
		out = append(out, fmt.Sprintf("%#x", a))
	}
	return strings.Join(out, ", ")
}

// gdbScript steps and prints the program counter after each step.
const gdbScript = `
import gdb
def pc(): return int(gdb.parse_and_eval("$pc")) & 0xffffffffffffffff
for place in %q.split():
    for i in range(%d):
        b = gdb.Breakpoint(place)
        gdb.execute("continue", to_string=True)
        b.delete()
        at = pc()
        for k in range(%d):
            gdb.execute(%q, to_string=True)
            print("@edge", at, pc())
            at = pc()
`

func gdbSteps(t *testing.T, vm *guesttest.VM, command string) edges {
	t.Helper()
	script := filepath.Join(t.TempDir(), "step.py")
	text := fmt.Sprintf(gdbScript, strings.Join(places, " "), rounds, steps, command)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "gdb-multiarch", "-nx", "-batch", "-ex", "target remote "+vm.GDBAddr(), "-x", script, "-ex", "detach", vm.Debug).CombinedOutput()
	if err != nil {
		t.Fatalf("gdb-multiarch (make tools installs it): %v\n%s", err, out)
	}
	e := edges{}
	for line := range strings.Lines(string(out)) {
		var from, to uint64
		if _, err := fmt.Sscanf(line, "@edge %d %d", &from, &to); err == nil {
			e.add(from, to)
		}
	}
	if len(e) == 0 {
		t.Fatalf("gdb-multiarch did not step:\n%s", out)
	}
	return e
}

func ourSteps(t *testing.T, vm *guesttest.VM, kind ukdbg.StepKind) edges {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: vm.GDBAddr(), Image: vm.Debug})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := s.Leave(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	e := edges{}
	for _, place := range places {
		for range rounds {
			stepFrom(t, ctx, s, place, kind, e)
		}
	}
	return e
}

func stepFrom(t *testing.T, ctx context.Context, s *ukdbg.Session, place string, kind ukdbg.StepKind, e edges) {
	t.Helper()
	p, err := s.FindPlace(ctx, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddBreakpoint(ukdbg.Breakpoint{Addrs: p.Addrs, Temporary: true}); err != nil {
		t.Fatal(err)
	}
	rep, err := s.Continue(ctx)
	if err != nil || rep.Cause != ukdbg.CauseBreakpoint {
		t.Fatalf("%s: %+v, %v", place, rep, err)
	}
	for range steps {
		thread, err := s.CurrentThread(ctx, rep.CPU)
		if err != nil {
			t.Fatal(err)
		}
		from := thread.Regs.PC()
		if rep, err = s.Step(ctx, thread, kind); err != nil || rep.Cause != ukdbg.CauseStep {
			t.Fatalf("from %#x: %+v, %v", from, rep, err)
		}
		if thread, err = s.CurrentThread(ctx, rep.CPU); err != nil {
			t.Fatal(err)
		}
		e.add(from, thread.Regs.PC())
	}
}
