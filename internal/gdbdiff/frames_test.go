package gdbdiff

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// variant is a guest that is compared.
type variant struct {
	image, append string
	smp           int
	crashed       bool   // wait for its end
	slide         uint64 // of the guest's addresses, over those of the image
	values        bool   // compare globals and members too
	noVariables   bool   // do not compare what frames hold
	rounds        int    // moments to compare
}

func (v variant) name() string {
	name := strings.TrimPrefix(v.image, "ukguest-")
	if v.smp > 1 {
		name += fmt.Sprintf("/smp%d", v.smp)
	}
	if v.append != "" {
		name += "/" + strings.ReplaceAll(v.append, " ", ",")
	}
	return name
}

var variants = []variant{
	{image: "ukguest-x86_64", values: true, rounds: 2},
	{image: "ukguest-x86_64-nofp", smp: 2, append: "rate=1000 burn", values: true, rounds: 4},
	{image: "ukguest-x86_64-pie", rounds: 1},
	{image: "ukguest-x86_64-cfi", append: "rate=1000", values: true, rounds: 2}, // of clang and lld
	{image: "ukguest-x86_64", append: "fault=null after=20", crashed: true, rounds: 1},
	{image: "ukguest-x86_64", append: "fault=jump after=20", smp: 2, crashed: true, rounds: 1},
	// Its recursion hands on an argument in rcx or x2, which nobody saves: gdb shows
	// what a trap left there, ukdbg that it is not saved.
	{image: "ukguest-x86_64", append: "fault=overflow after=20", crashed: true, noVariables: true, rounds: 1},
	{image: "ukguest-x86_64-nofp", append: "fault=assert after=20", crashed: true, rounds: 1},
	{image: "ukguest-x86_64-kasan", append: "fault=kasan after=20", crashed: true, rounds: 1},
	{image: "ukguest-arm64", values: true, rounds: 2},
	{image: "ukguest-arm64-nofp", smp: 2, append: "rate=1000 burn", values: true, rounds: 4},
	// A Linux Image's header asks for an address 0x200000 above the link address.
	{image: "ukguest-arm64-pie", slide: 0x200000, rounds: 1},
	{image: "ukguest-arm64-cfi", append: "rate=1000", values: true, rounds: 2},
	{image: "ukguest-arm64", append: "fault=null after=20", crashed: true, rounds: 1},
	{image: "ukguest-arm64", append: "fault=jump after=20", smp: 2, crashed: true, rounds: 1},
	{image: "ukguest-arm64", append: "fault=overflow after=20", crashed: true, noVariables: true, rounds: 1},
	{image: "ukguest-arm64-nofp", append: "fault=assert after=20", crashed: true, rounds: 1},
	{image: "ukguest-arm64-kasan", append: "fault=kasan after=20", crashed: true, rounds: 1},
}

// stopped is a guest at one moment, in both debuggers.
type stopped struct {
	dump    *dump
	layout  *layout
	gdb     *gdb
	debug   string // the image
	arch    string
	threads []thread
	session *ukdbg.Session
	frames  []frame // those that agree
	lost    int     // answers that sameButLost let pass
	quiet   bool    // say nothing of what is equal
	// live are the forms of what the registers of the thread at hand hold.
	live map[string]bool
	// known is the last frame so far whose registers are all known: the innermost,
	// or one that a trap interrupted.
	known frame
}

// frame is a frame of both.
type frame struct {
	thread string
	ours   ukdbg.Frame
	theirs gdbFrame
}

func TestAgainstGDB(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name(), func(t *testing.T) {
			t.Parallel()
			v.test(t)
		})
	}
}

func (v variant) test(t *testing.T) {
	vm := guesttest.Start(t, guesttest.Options{Image: v.image, Append: v.append, SMP: v.smp, GDB: "unix"})
	l := layouts[vm.Image.Arch]
	g := startGDB(t, vm.Image.Arch, vm.Debug, v.slide) // while the guest boots
	f := askFacts(t, g)
	until := "requests served"
	if v.crashed {
		until = "Unikraft halted"
	}
	vm.WaitConsole(t, until, time.Minute)
	for round := range v.rounds {
		if round > 0 {
			vm.QMP(t, "cont", nil)
			time.Sleep(time.Duration(20+7*round) * time.Millisecond)
		}
		s := &stopped{layout: l, gdb: g, debug: vm.Debug, arch: vm.Image.Arch}
		s.settle(t, vm)
		s.dump.unmap(0)
		s.threads = walk(t, s.dump, l, g, f)
		s.attach(t, vm)
		s.compareFrames(t)
		if v.values && round == v.rounds-1 {
			s.compareGlobals(t, vm.Debug)
			s.compareMembers(t)
		}
		if !v.noVariables {
			s.compareVariables(t)
		}
		s.leave(t, vm)
	}
}

// settle stops the VM and dumps it at a moment at which no processor is inside
// a context switch: there the thread called current has not its registers yet,
// and the one that has them has none saved.
func (s *stopped) settle(t *testing.T, vm *guesttest.VM) {
	t.Helper()
	for range 50 {
		vm.QMP(t, "stop", nil)
		s.dump = takeDump(t, vm)
		if !s.switching(t) {
			return
		}
		if err := os.RemoveAll(s.dump.dir); err != nil {
			t.Fatal(err)
		}
		s.gdb.core = ""
		vm.QMP(t, "cont", nil)
		time.Sleep(3 * time.Millisecond)
	}
	t.Fatal("the guest is always inside a context switch")
}

func (s *stopped) switching(t *testing.T) bool {
	t.Helper()
	for _, cpu := range s.dump.cpus {
		for _, f := range s.framesOf(t, cpu) {
			if f.Name == "schedcoop_yield" || f.Name == s.layout.resumes {
				return true
			}
		}
	}
	return false
}

// attach lets ukdbg look at the paused guest.
func (s *stopped) attach(t *testing.T, vm *guesttest.VM) {
	t.Helper()
	var err error
	// A loaded host lets the stub wait before it takes a connection.
	for range 5 {
		s.session, err = ukdbg.Open(context.Background(), ukdbg.Options{Target: vm.GDBAddr(), Image: vm.Debug})
		if !errors.Is(err, ukdbg.ErrUnreachable) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stopped) leave(t *testing.T, vm *guesttest.VM) {
	t.Helper()
	if _, err := s.session.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	if vm.Running(t) {
		t.Error("ukdbg resumed a guest that was paused")
	}
}

// framesOf returns gdb's frames from the registers of an elf_prstatus.
//
// Rule for arm64: a vector saves all registers in a struct __regs at its stack
// pointer and tells call frame information that its return address is undefined,
// so gdb ends there, or goes wrong. What was interrupted is asked for with a core
// of its own. A vector in frame 0 may be in the middle of saving: nothing is read.
func (s *stopped) framesOf(t *testing.T, status []byte) []gdbFrame {
	t.Helper()
	var out []gdbFrame
	for range 8 {
		core := s.dump.core(t, status)
		s.gdb.load(t, core)
		frames := s.gdb.frames(t)
		for i := range frames {
			frames[i].Core, frames[i].Status = core, status
		}
		cut := -1
		for i, f := range frames {
			if i > 0 && s.layout.vectors[f.Name] {
				cut = i
				break
			}
		}
		if cut < 0 {
			return append(out, frames...)
		}
		out = append(out, frames[:cut+1]...)
		status = s.layout.prstatus()
		for off, reg := range s.layout.regs {
			s.layout.set(status, reg, s.dump.word(t, frames[cut].SP+off))
		}
	}
	t.Fatal("traps in traps without end")
	return nil
}

// rules leaves out what gdb shows and no stack has: on x86 the return address 0
// that ends a stack is no frame.
func rules(frames []gdbFrame) []gdbFrame {
	if n := len(frames) - 1; n > 0 && frames[n].PC == 0 && frames[n].Name == "" {
		frames = frames[:n]
	}
	return frames
}

func (f gdbFrame) String() string {
	return frameText(f.PC, f.Name, f.Inline, f.TailCall, f.File, f.Line)
}

func frameText(pc uint64, name string, inline, tail bool, file string, line int) string {
	text := fmt.Sprintf("%#x %s", pc, name)
	if inline {
		text += " (inline)"
	}
	if tail {
		text += " (tail call)"
	}
	return text + fmt.Sprintf(" %s:%d", file, line)
}

// compareFrames compares every frame of every thread.
func (s *stopped) compareFrames(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	list, err := s.session.Threads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ours := map[uint64]ukdbg.Thread{}
	for _, th := range list {
		ours[th.Addr] = th
	}
	if len(list) != len(s.threads) || len(ours) != len(s.threads) || len(list) < 5 {
		t.Errorf("%d threads, the dump has %d", len(list), len(s.threads))
	}
	equal, total, deepest := 0, 0, 0
	for _, th := range s.threads {
		own, ok := ours[th.addr]
		if !ok {
			t.Errorf("thread %s at %#x is missing", th.name, th.addr)
			continue
		}
		if own.Name != th.name || int(own.CPU) != th.cpu || own.New != th.fresh {
			t.Errorf("thread at %#x: %q on CPU %d, new %v; in the dump %q on CPU %d, new %v",
				th.addr, own.Name, own.CPU, own.New, th.name, th.cpu, th.fresh)
		}
		frames, err := s.session.Backtrace(ctx, own)
		theirs := rules(s.framesOf(t, th.status))
		// Rule: where gdb's stack ends in what is no code either (the processor
		// stands in a vector's first instructions), ukdbg says that it ends early.
		if lost := theirs[len(theirs)-1].Name == ""; (err != nil) != lost {
			t.Errorf("thread %s: backtrace's error %v; gdb's last frame %s", th.name, err, theirs[len(theirs)-1])
		}
		n := s.sameFrames(t, frames, theirs)
		equal, total, deepest = equal+n, total+len(theirs), max(deepest, len(theirs))
		if n != len(frames) || n != len(theirs) {
			t.Errorf("thread %s on CPU %d: %d frames are equal\n%s", th.name, th.cpu, n, sideBySide(frames, theirs))
			continue
		}
		for i, f := range frames {
			s.frames = append(s.frames, frame{th.name, f, theirs[i]})
		}
	}
	if !s.quiet {
		t.Logf("%d threads, %d of %d frames equal, the deepest stack has %d", len(s.threads), equal, total, deepest)
	}
}

func ourText(f ukdbg.Frame) string {
	return frameText(f.PC, f.Loc.Function, f.Inline, f.TailCall, f.Loc.File, f.Loc.Line)
}

// sameFrames counts the frames that are equal at their level.
func (s *stopped) sameFrames(t *testing.T, ours []ukdbg.Frame, theirs []gdbFrame) int {
	t.Helper()
	n := 0
	for i := range min(len(ours), len(theirs)) {
		if ourText(ours[i]) == theirs[i].String() || lineZero(t, s.debug, ours[i], theirs[i]) {
			n++
		}
	}
	return n
}

func sideBySide(ours []ukdbg.Frame, theirs []gdbFrame) string {
	var b strings.Builder
	for i := range max(len(ours), len(theirs)) {
		o, g := "-", "-"
		if i < len(ours) {
			o = ourText(ours[i])
		}
		if i < len(theirs) {
			g = theirs[i].String()
			if stop := theirs[i].Stop; stop != "" {
				g += " [gdb stops: " + stop + "]"
			}
		}
		if o == g {
			fmt.Fprintf(&b, "  #%d    %s\n", i, o)
		} else {
			fmt.Fprintf(&b, "  #%d ukdbg %s\n  #%d gdb   %s\n", i, o, i, g)
		}
	}
	return b.String()
}
