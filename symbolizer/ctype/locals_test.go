package ctype_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// TestLocalOfLostBlock: a variable is told as optimized out, not as absent, where
// not even its block is left in the instance of an inlined function. gdb does so.
func TestLocalOfLostBlock(t *testing.T) {
	im := compile(t, []string{"clang-16", "-g", "-O2"}, "lostblock.c")
	ts, err := ctype.New(im)
	if err != nil {
		t.Fatal(err)
	}
	start, _ := im.SymbolByName("_start")
	scope, err := ts.Scope(start.Addr, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := scope.Locals()
	if len(all) != 1 || all[0].Name != "ticks" {
		t.Fatalf("%+v, want ticks", all)
	}
	r := ts.Reader(context.Background(), &imageMemory{im: im}, 0)
	if _, err := all[0].Value(r, &ctype.Frame{LookupPC: start.Addr}).Uint(); !errors.Is(err, ctype.ErrOptimizedOut) {
		t.Errorf("its value: %v, want that it is optimized out", err)
	}
	if outer, err := ts.Scope(start.Addr, 1); err != nil || len(outer.Locals()) != 0 {
		t.Errorf("outside the call %+v, %v", outer.Locals(), err)
	}
}
