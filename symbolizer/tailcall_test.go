package symbolizer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// TestTailCallsInAThicket asks for the way through pairs of functions of which
// each may jump to both of the next pair: two ways that share nothing, and too
// many to try them all in search of what no way leads to.
func TestTailCallsInAThicket(t *testing.T) {
	const n = 40
	var c strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&c, format+"\n", args...) }
	say("volatile int choice;\n#define FN __attribute__((noipa)) void")
	say("FN end(void) { choice++; }\nFN nowhere(void) { choice--; }")
	say("FN a%d(void) { choice = 1; end(); }\nFN b%[1]d(void) { choice = 2; end(); }", n)
	for i := n - 1; i >= 0; i-- {
		for _, f := range []string{"a", "b"} {
			say("FN %s%d(void) { if (choice) a%d(); else b%[3]d(); }", f, i, i+1)
		}
	}
	say("int main(void) { a0(); choice++; return 0; }")
	path := compile(t, map[string]string{"thicket.c": c.String()},
		"gcc", "-O2", "-g", "-nostdlib", "-static", "-no-pie", "-ffreestanding", "-Wl,-e,main", "-o", "out", "thicket.c")
	im, err := symbolizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	main, ok1 := im.SymbolByName("main")
	end, ok2 := im.SymbolByName("end")
	nowhere, ok3 := im.SymbolByName("nowhere")
	if !ok1 || !ok2 || !ok3 {
		t.Fatal("a function is missing")
	}
	start := time.Now()
	for ret := main.Addr; ret < main.Addr+main.Size; ret++ {
		for _, callee := range []uint64{end.Addr, nowhere.Addr} {
			if jumps := im.TailCalls(ret, callee); len(jumps) > 0 {
				t.Errorf("to %#x the jumps %#x were taken", callee, jumps)
			}
		}
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
}
