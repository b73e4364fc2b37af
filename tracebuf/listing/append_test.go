package listing

import (
	"bytes"
	"fmt"
	"math"
	"testing"
)

func TestClean(t *testing.T) {
	for c := range 256 {
		for _, n := range []int{1, 7, 8, 9, 16, 20} {
			for at := range n {
				b := bytes.Repeat([]byte("a"), n)
				b[at] = byte(c)
				if got, want := clean(b), c >= ' ' && c <= '~'; got != want {
					t.Fatalf("byte %#x at %d of %d: %v", c, at, n, got)
				}
			}
		}
	}
}

func TestSeconds(t *testing.T) {
	for _, ns := range []uint64{0, 1, 999, 1000, 123456789, 1e9, 12345678901234, 999999999999999999, 1e18, math.MaxUint64} {
		want := fmt.Sprintf("%16s", fmt.Sprintf("%d.%06d", ns/1e9, ns%1e9/1e3))
		if got := string(appendSeconds([]byte("x"), ns)); got != "x"+want {
			t.Errorf("%d: %q, want %q", ns, got, want)
		}
	}
}

func TestEscapes(t *testing.T) {
	if got := string(appendSafe(nil, []byte("a\x1b[31mé\xff\n"))); got != `a\x1b[31mé\xff\x0a` {
		t.Errorf("%q", got)
	}
	if got := string(appendJSON(nil, []byte("\"\\\x01é\xff\n"))); got != "\"\\\"\\\\\\u0001é\ufffd\\n\"" {
		t.Errorf("%q", got)
	}
	if got := string(appendCSV(nil, []byte("\x1b[2J\r\n,é"))); got != `"\x1b[2J\x0d\x0a,é"` {
		t.Errorf("%q", got)
	}
	if got := string(appendCSV(appendCSV(nil, []byte("a,\"b\"")), []byte("c"))); got != `"a,""b"""c` {
		t.Errorf("%q", got)
	}
}
