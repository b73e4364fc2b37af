package symbolizer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// TestTailCallsInAThicket asks for the way through functions of which each may
// jump to any other: too many ways to try them all.
func TestTailCallsInAThicket(t *testing.T) {
	const n = 24
	var c strings.Builder
	fmt.Fprintf(&c, "volatile int choice;\n__attribute__((noipa)) void end(void) { choice++; }\n")
	for i := range n {
		fmt.Fprintf(&c, "void f%d(void);\n", i)
	}
	for i := range n {
		fmt.Fprintf(&c, "__attribute__((noipa)) void f%d(void) { switch (choice++) {\n", i)
		for k := range n {
			if k != i {
				fmt.Fprintf(&c, "case %d: f%d(); return;\n", k, k)
			}
		}
		fmt.Fprintf(&c, "} end(); }\n")
	}
	fmt.Fprintf(&c, "int main(void) { f0(); choice++; return 0; }\n")
	path := compile(t, map[string]string{"thicket.c": c.String()},
		"gcc", "-O2", "-g", "-fno-jump-tables", "-nostdlib", "-static", "-no-pie", "-ffreestanding", "-Wl,-e,main", "-o", "out", "thicket.c")
	im, err := symbolizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	main, ok1 := im.SymbolByName("main")
	end, ok2 := im.SymbolByName("end")
	if !ok1 || !ok2 {
		t.Fatal("no main, no end")
	}
	start := time.Now()
	for ret := main.Addr; ret < main.Addr+main.Size; ret++ {
		if jumps := im.TailCalls(ret, end.Addr); len(jumps) > 0 {
			t.Errorf("of many ways %#x were taken", jumps)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %v", d)
	}
}
