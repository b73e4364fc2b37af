package ukdbg

import (
	"math/rand"
	"slices"
	"testing"
)

// Ranges are joined and cut as sets of addresses are.
func TestStretches(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	set := func(all []stretch) map[uint64]bool {
		m := map[uint64]bool{}
		for _, s := range all {
			for a := s.first; ; a++ {
				m[a] = true
				if a == s.last {
					break
				}
			}
		}
		return m
	}
	random := func() (out []stretch) {
		for range r.Intn(8) {
			first := uint64(r.Intn(60))
			out = append(out, stretch{first, first + uint64(r.Intn(12))})
		}
		return out
	}
	for range 2000 {
		a, b := random(), random()
		want := set(a)
		ma, mb := mergeStretches(slices.Clone(a)), mergeStretches(slices.Clone(b))
		if got := set(ma); len(got) != len(want) {
			t.Fatalf("%v merged is %v", a, ma)
		}
		for i := 1; i < len(ma); i++ {
			if ma[i].first <= ma[i-1].last+1 {
				t.Fatalf("%v merged is %v", a, ma)
			}
		}
		for addr := range set(b) {
			delete(want, addr)
		}
		got := set(without(ma, mb))
		if len(got) != len(want) {
			t.Fatalf("%v without %v is %v", ma, mb, without(ma, mb))
		}
		for addr := range got {
			if !want[addr] {
				t.Fatalf("%v without %v has %d", ma, mb, addr)
			}
		}
	}
	top := ^uint64(0)
	if got := without([]stretch{{0, top}}, []stretch{{10, top}}); !slices.Equal(got, []stretch{{0, 9}}) {
		t.Errorf("%v", got)
	}
	if got := mergeStretches([]stretch{{top, top}, {0, 1}}); len(got) != 2 {
		t.Errorf("%v", got)
	}
}
