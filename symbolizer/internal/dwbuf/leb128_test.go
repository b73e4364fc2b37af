package dwbuf

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/leb128"
)

// What delve encodes is read back, and so are the ends of the ranges.
func TestLEB128AgainstDelve(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := []uint64{0, 1, 63, 64, 127, 128, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	for range 10000 {
		values = append(values, rng.Uint64()>>rng.IntN(64))
	}
	for _, v := range values {
		var b bytes.Buffer
		leb128.EncodeUnsigned(&b, v)
		leb128.EncodeSigned(&b, int64(v))
		r := New(b.Bytes(), 0)
		if got := r.Uleb(); got != v || r.Failed() {
			t.Fatalf("unsigned %#x is read as %#x (failed %v)", v, got, r.Failed())
		}
		if got := r.Sleb(); got != int64(v) || r.Failed() || r.Len() != 0 {
			t.Fatalf("signed %#x is read as %#x (failed %v, %d bytes left)", v, got, r.Failed(), r.Len())
		}
	}
}
