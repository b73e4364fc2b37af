package main

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/corefile/coretest"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestDumpBare: raw RAM has neither registers nor page tables; where the guest
// stands shows the call on its stack that never returns, and the tables are
// found by the image's symbols.
func TestDumpBare(t *testing.T) {
	for _, tt := range []struct {
		image string
		base  uint64
	}{{"ukguest-x86_64", 0}, {"ukguest-arm64", 1 << 30}} {
		for fault, want := range map[string][]string{
			"null":     {"page-fault", "null", "fault_null", "worker_main"},
			"pf":       {"page-fault", "not-present"},
			"pfw":      {"page-fault", "write-to-read-only"},
			"gp":       {"canonical"},
			"assert":   {"explicit-crash", "fault_assert", "worker_main"},
			"jump":     {"page-fault", "wild-jump"},
			"overflow": {"stack-overflow"},
			"none":     {"no fault"},
		} {
			t.Run(tt.image+"/"+fault, func(t *testing.T) {
				g := boot(t, guesttest.Options{Image: tt.image, Append: "fault=" + fault, MemMiB: 32, SMP: 2, Args: []string{"-no-shutdown"}})
				halted := "Unikraft halted"
				if fault == "none" {
					halted = "up "
				}
				g.WaitConsole(t, halted, patience)
				g.QMP(t, "stop", nil)
				ram := filepath.Join(t.TempDir(), "ram")
				g.QMP(t, "pmemsave", map[string]any{"val": tt.base, "size": 32 << 20, "filename": ram})
				out := mustVerb(t, "crash", "core:"+ram, "-e", g.Debug, "--base", fmt.Sprint(tt.base), "--no-console")
				if fault != "none" {
					want = append(want, "in thread worker-2", "where it stands: the dump has no registers")
				}
				notes := mustVerb(t, "attach", "core:"+ram, "-e", g.Debug, "--batch", "--ex", "info target")
				if !strings.Contains(notes, "page tables: the image's (boot_") {
					t.Errorf("the page tables are not found:\n%s", notes)
				}
				if fault == "null" {
					checkBareKdump(t, g, ram, tt.base, out)
				}
				if fault == "none" && strings.Contains(tt.image, "arm64") && !strings.Contains(notes, "may be stale") {
					// A processor waits in the idle thread, below the frames of its interrupts.
					t.Errorf("no frame of an interrupt is told of:\n%s", notes)
				}
				for _, w := range want {
					if !strings.Contains(out, w) {
						t.Errorf("no %q in:\n%s", w, out)
					}
				}
			})
		}
	}
}

// checkBareKdump: a kdump file without notes tells the same.
func checkBareKdump(t *testing.T, g *guest, ram string, base uint64, want string) {
	t.Helper()
	b, err := os.ReadFile(ram)
	if err != nil {
		t.Fatal(err)
	}
	machine := elf.EM_X86_64
	if base != 0 {
		machine = elf.EM_AARCH64
	}
	file := filepath.Join(t.TempDir(), "kdump")
	dump := coretest.Dump{Machine: machine, Memory: []coretest.Segment{{Phys: base, Data: b}}}
	if err := os.WriteFile(file, dump.Kdump(coretest.KdumpOptions{Pack: "snappy"}), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mustVerb(t, "crash", file, "-e", g.Debug, "--no-console"); got != want {
		t.Errorf("from kdump:\n%s\nfrom RAM:\n%s", got, want)
	}
}
