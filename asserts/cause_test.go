package asserts

import "testing"

func TestPoison(t *testing.T) {
	for v, want := range map[uint64]struct{ ok, freed bool }{
		0x6b6b6b6b6b6b6b6b: {true, true}, 0x6b6b6b6b6b68: {true, true}, 0x6b6b6b6b6b6b6b73: {true, true},
		0xa5a5a5a5a5a5a5a5: {true, false}, 0xdddddddddddddddd: {true, true}, 0xdead000000000100: {true, true}, 0xdead00000000012a: {true, true},
		0xcccccccccccccccc: {true, false}, 0xffffffffffffffff: {true, false}, 0xaaaaaaaaaaaaaaba: {true, false},
		0: {}, 0x10: {}, 0x3fde020: {}, 0x7fff12340000: {}, 0xffff888000001000: {}, 0xffffffff81000000: {}, 0xdead4ead00000000: {}, 0x6b6b6b: {},
		0x6b6b006b6b6b: {}, 0x1111111111111111: {},
	} {
		what, freed, ok := Poison(v)
		if ok != want.ok || freed != want.freed || ok != (what != "") {
			t.Errorf("%#x: %q, freed %v, %v; want %+v", v, what, freed, ok, want)
		}
	}
}

func TestTextBytes(t *testing.T) {
	for v, want := range map[uint64]string{
		0x4847464544434241: "ABCDEFGH", 0x000a6f6c6c6568: "hello\n", 0x6f6c6c6568: "", 0: "", 0x3fde020: "", 0x4142004344454647: "",
	} {
		if got, ok := TextBytes(v); ok != (want != "") || ok && got != want {
			t.Errorf("%#x: %q, %v", v, got, ok)
		}
	}
}
