package ukdbg

import "testing"

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{"worker-1": "'worker-1'", "x'; reboot; '": `'x'\''; reboot; '\'''`} {
		if got := quoted(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
