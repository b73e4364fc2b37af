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

// guestFaults holds, per crash screen, what each fault= of the guest's x86_64
// image must be named from its console log.
var guestFaults = map[string]map[string]verdictOf{
	"x86_64 a": {
		"assert":   {Assertion, "", Assertion, ""},
		"crash":    {ExplicitCrash, "", ExplicitCrash, ""},
		"null":     {PageFault, SubNullDereference, PageFault, SubNullDereference},
		"pf":       {PageFault, SubNotPresent, PageFault, SubNotPresent},
		"pfw":      {PageFault, SubWriteToReadOnly, PageFault, SubWriteToReadOnly},
		"jump":     {PageFault, SubWildJump, PageFault, SubWildJump},
		"gp":       {GeneralProtection, "", GeneralProtection, SubNonCanonical},
		"ud":       {InvalidOpcode, "", InvalidOpcode, SubCompilerTrap},
		"div":      {DivideError, "", DivideError, SubDivideByZero},
		"brk":      {Breakpoint, "", Breakpoint, ""},
		"smash":    {GeneralProtection, SubWildJump, GeneralProtection, SubWildJump},
		"overflow": {StackOverflow, SubGuardPage, StackOverflow, SubGuardPage},
	},
	// The screen of crash.c has no trap number: the image must say it.
	"x86_64 c": {
		"assert":   {Assertion, "", Assertion, ""},
		"crash":    {ExplicitCrash, "", ExplicitCrash, ""},
		"null":     {PageFault, SubNullDereference, PageFault, SubNullDereference},
		"pf":       {PageFault, SubNotPresent, PageFault, SubNotPresent},
		"pfw":      {PageFault, SubWriteToReadOnly, PageFault, SubWriteToReadOnly},
		"jump":     {PageFault, SubWildJump, PageFault, SubWildJump},
		"gp":       {UnknownTrap, "", GeneralProtection, SubNonCanonical},
		"ud":       {UnknownTrap, "", InvalidOpcode, SubCompilerTrap},
		"div":      {UnknownTrap, "", DivideError, SubDivideByZero},
		"brk":      {UnknownTrap, "", Breakpoint, ""},
		"smash":    {GeneralProtection, SubWildJump, GeneralProtection, SubWildJump},
		"overflow": {StackOverflow, SubGuardPage, StackOverflow, SubGuardPage},
	},
}

// TestGuestFaults makes the guest die in every way it knows and names the fault
// from its console.
func TestGuestFaults(t *testing.T) {
	for screen, faults := range guestFaults {
		cpu, generation, _ := strings.Cut(screen, " ")
		for name, want := range faults {
			t.Run(fmt.Sprintf("%s/%s/%s", cpu, generation, name), func(t *testing.T) {
				t.Parallel()
				vm := guesttest.Start(t, guesttest.Options{
					Image:  "ukguest-" + cpu,
					Append: "fault=" + name + " after=3 crash=" + generation,
				})
				log := vm.WaitConsole(t, "Unikraft halted", 30*time.Second)
				vm.Kill()
				checkGuest(t, []byte(log), vm.Debug, want)
			})
		}
	}
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
