package asserts

import (
	"context"
	"debug/elf"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target/arch"
)

// verdictOf is what a log must tell: kind and subkind from its text alone, and
// with the image's bytes at hand.
type verdictOf struct {
	kind    Kind
	sub     string
	refined Kind
	resub   string
}

// guestFault is one death of the guest: fault=Name on images and crash screens.
type guestFault struct {
	image, generation, name, more string
	want                          verdictOf
}

// same is the verdict of a log that tells all there is.
func same(k Kind, sub string) verdictOf { return verdictOf{k, sub, k, sub} }

// guestFaults lists what each fault= of the guest must be named from its console
// log. fault=div is none on arm64, where a division by zero does not trap, and
// there are no protection keys.
func guestFaults() (all []guestFault) {
	add := func(image, generation, name, more string, want verdictOf) {
		all = append(all, guestFault{image, generation, name, more, want})
	}
	for _, g := range []string{"a", "c"} {
		for _, cpu := range []string{"x86_64", "arm64"} {
			for name, want := range map[string]verdictOf{
				"assert":   same(Assertion, ""),
				"crash":    same(ExplicitCrash, ""),
				"null":     same(PageFault, SubNullDereference),
				"pf":       same(PageFault, SubNotPresent),
				"pfw":      same(PageFault, SubWriteToReadOnly),
				"jump":     same(PageFault, SubWildJump),
				"overflow": same(StackOverflow, SubGuardPage),
			} {
				add(cpu, g, name, "", want)
			}
			add(cpu+"-ssp", g, "smash", "", same(StackSmash, ""))
			add(cpu+"-kasan", g, "kasan", "", same(AddressSanitizer, SubHeapOverflow))
			add(cpu+"-kasan", g, "kasan", " san=uaf", same(AddressSanitizer, SubUseAfterFree))
			add(cpu+"-cfi", g, "cfi", "", same(ControlFlowIntegrity, SubKCFI))
		}
		add("arm64", g, "gp", "", same(PageFault, SubNonCanonical))
		add("arm64", g, "ud", "", same(InvalidOpcode, SubUndefinedOpcode))
		add("arm64", g, "brk", "", same(Breakpoint, SubCompilerTrap))
		add("x86_64", g, "pkey", "", same(ProtectionKey, SubWriteDisabled))
		add("x86_64", g, "pkey", " san=read", same(ProtectionKey, SubAccessDisabled))
	}
	add("x86_64", "a", "gp", "", verdictOf{GeneralProtection, "", GeneralProtection, SubNonCanonical})
	add("x86_64", "a", "ud", "", verdictOf{InvalidOpcode, "", InvalidOpcode, SubCompilerTrap})
	add("x86_64", "a", "div", "", verdictOf{DivideError, "", DivideError, SubDivideByZero})
	add("x86_64", "a", "brk", "", same(Breakpoint, ""))
	add("x86_64", "a", "null", " vmem=off", same(PageFault, SubNullDereference))
	// The screen has no trap number: only the image can say what happened.
	add("x86_64", "c", "gp", "", verdictOf{UnknownTrap, "", GeneralProtection, SubNonCanonical})
	add("x86_64", "c", "ud", "", verdictOf{UnknownTrap, "", InvalidOpcode, SubCompilerTrap})
	add("x86_64", "c", "div", "", verdictOf{UnknownTrap, "", DivideError, SubDivideByZero})
	add("x86_64", "c", "brk", "", verdictOf{UnknownTrap, "", Breakpoint, ""})
	add("x86_64", "c", "null", " vmem=off", verdictOf{UnknownTrap, "", PageFault, SubNullDereference})
	return all
}

// TestGuestFaults makes the guest die in every way it knows and names the fault
// from its console.
func TestGuestFaults(t *testing.T) {
	for _, g := range guestFaults() {
		t.Run(fmt.Sprintf("%s/%s/%s%s", g.image, g.generation, g.name, g.more), func(t *testing.T) {
			t.Parallel()
			log, image := die(t, g)
			checkGuest(t, log, image, g.want)
		})
	}
}

// TestGuestUBSan: the guest goes on after each report and dies of the last.
func TestGuestUBSan(t *testing.T) {
	for _, cpu := range []string{"x86_64", "arm64"} {
		log, _ := die(t, guestFault{image: cpu + "-ubsan", generation: "a", name: "ubsan"})
		faults := scanAll(t, log)
		if len(faults) != 1 || faults[0].Kind != UndefinedBehavior || faults[0].Location.Line == 0 {
			t.Fatalf("%s: %s in:\n%s", cpu, kinds(faults), log)
		}
		c := faults[0].Consequences
		if len(c) < 2 || c[len(c)-1].Kind != PageFault || c[len(c)-2].Subkind != SubNullDereference {
			t.Errorf("%s: consequences %+v", cpu, c)
		}
	}
}

// die runs the guest into a fault and returns its console and its image.
func die(t *testing.T, g guestFault) (log []byte, image string) {
	t.Helper()
	vm := guesttest.Start(t, guesttest.Options{
		Image:  "ukguest-" + g.image,
		Append: "fault=" + g.name + " after=3 crash=" + g.generation + g.more,
	})
	text := vm.WaitConsole(t, "Unikraft halted", 60*time.Second)
	vm.Kill()
	return []byte(text), vm.Debug
}

func checkGuest(t *testing.T, log []byte, image string, want verdictOf) {
	t.Helper()
	faults := scanAll(t, log)
	if len(faults) != 1 || len(faults[0].Consequences) != 0 {
		t.Fatalf("%s in:\n%s", kinds(faults), log)
	}
	f := faults[0]
	if f.Kind != want.kind || f.Subkind != want.sub {
		t.Errorf("log: %s/%s, want %s/%s", f.Kind, f.Subkind, want.kind, want.sub)
	}
	if !strings.HasPrefix(f.Thread, "worker-") {
		t.Errorf("log: thread %q, want a worker", f.Thread)
	}
	Refine(context.Background(), f, Machine{Memory: imageMemory(t, image)})
	if f.Kind != want.refined || f.Subkind != want.resub {
		t.Errorf("log and image: %s/%s, want %s/%s", f.Kind, f.Subkind, want.refined, want.resub)
	}
	if f.Arch != nil && f.Arch != arch.X86_64 && f.Arch != arch.ARM64 {
		t.Errorf("architecture %v", f.Arch)
	}
}

// imageMemory is the image's text and read-only data as memory.
func imageMemory(t *testing.T, path string) rowMemory {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows rowMemory
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || s.Flags&elf.SHF_WRITE != 0 || s.Type != elf.SHT_PROGBITS {
			continue
		}
		data, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, MemoryRow{Addr: s.Addr, Data: data})
	}
	return rows
}
