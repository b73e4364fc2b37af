package asserts

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target/arch"
)

func TestFindEnding(t *testing.T) {
	for stack, want := range map[string]Ending{
		"arch_halt end ukplat_terminate fault main":                          {Kind: ExplicitCrash, Via: "ukplat_terminate", Depth: 3},
		"arch_halt ukplat_terminate __stack_chk_fail parse serve":            {Kind: StackSmash, Via: "__stack_chk_fail", Depth: 3},
		"_uk_crash_from_code report __asan_store1_noabort fill serve":        {Kind: AddressSanitizer, Via: "__asan_store1_noabort", Depth: 3},
		"ukplat_terminate __ubsan_handle_shift_out_of_bounds_abort fn serve": {Kind: UndefinedBehavior, Subkind: "shift-out-of-bounds", Via: "__ubsan_handle_shift_out_of_bounds_abort", Depth: 2},
		// Work as usual: a check that passes, a guest that comes to its end.
		"__asan_load8_noabort fill serve":          {},
		"arch_halt ukplat_terminate uk_boot entry": {},
		"serve worker_main":                        {},
		"":                                         {},
	} {
		got, ok := FindEnding(strings.Fields(stack))
		if got != want || ok != (want.Depth > 0) {
			t.Errorf("%s: %+v, %t; want %+v", stack, got, ok, want)
		}
	}
	deep := strings.Fields(strings.Repeat("f ", endingDepth) + "ukplat_terminate g")
	if got, ok := FindEnding(deep); ok {
		t.Errorf("an ending %d functions deep: %+v", endingDepth, got)
	}
}

// TestEnded: a machine that stands in its ending is explained by it, without a
// trap and without a word of the guest.
func TestEnded(t *testing.T) {
	m := machine(t, arch.X86_64, nil, []byte{0xf4}, nil)
	m.Ending = Ending{Kind: AddressSanitizer, Via: "__asan_store8_noabort", Depth: 4}
	f, err := Decode(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	if f.Kind != AddressSanitizer || f.Access != Write || f.Detail("size") != "8" || f.Reason != "KASAN: invalid write of 8 bytes" {
		t.Errorf("got %s, %s, %q, %q", f.Kind, f.Access, f.Detail("size"), f.Reason)
	}
	if len(f.Inferred) != 1 || !strings.Contains(f.Inferred[0], "__asan_store8_noabort") {
		t.Errorf("inferred: %q", f.Inferred)
	}
	m.Ending = Ending{}
	if _, err := Decode(context.Background(), m); !errors.Is(err, ErrNoFault) {
		t.Errorf("the same machine without an ending: %v", err)
	}
}
