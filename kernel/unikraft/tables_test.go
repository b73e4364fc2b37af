package unikraft

import (
	"slices"
	"testing"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Unikraft's arm64 tables are numbered from the pages up: the last level, read as if it
// were the first, may map an image's bytes to themselves too.
func TestPageTables(t *testing.T) {
	img := newImage(arch.ARM64)
	img.symbols["arm64_bpt_l3_pt0"] = [2]uint64{0x402dc000, 0}
	img.symbols["arm64_bpt_l0_pt0"] = [2]uint64{0x402e1000, 0}
	if got := PageTables(img); !slices.Equal(got, []uint64{0x402dc000}) {
		t.Errorf("top tables of an arm64 image at %#x", got)
	}
	img = newImage(arch.X86_64)
	img.symbols["x86_bpt_pml4"] = [2]uint64{0x10a000, 0}
	if got := PageTables(img); !slices.Equal(got, []uint64{0x10a000}) {
		t.Errorf("top tables of an x86 image at %#x", got)
	}
}
