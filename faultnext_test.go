package ukdbg

import (
	"testing"

	"github.com/ukdbg/ukdbg/asserts"
)

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{"worker-1": "'worker-1'", "x'; reboot; '": `'x'\''; reboot; '\'''`} {
		if got := quoted(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestSourceWord(t *testing.T) {
	for line, want := range map[string]string{
		"\tUK_ASSERT(r->conn && \"dead\");":   "assertion failed: r->conn && \"dead\"",
		"\t\tUK_BUG();":                       "UK_BUG() was reached",
		"\tUK_CRASH(\"gave up on %lu\", id);": "UK_CRASH: \"gave up on %lu\", id",
		"\treturn 0;":                         "",
	} {
		kind, got, ok := sourceWord(line)
		if got != want || ok != (want != "") || ok && kind != asserts.Assertion && kind != asserts.ExplicitCrash {
			t.Errorf("%q: %s %q, want %q", line, kind, got, want)
		}
	}
}
