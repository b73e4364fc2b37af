package asserts

import (
	"fmt"
	"strings"
	"testing"
)

func scanText(t *testing.T, text string) []*Fault {
	t.Helper()
	return scanAll(t, []byte(text))
}

func kinds(faults []*Fault) string {
	var out []string
	for _, f := range faults {
		out = append(out, fmt.Sprintf("%s+%d", f.Kind, len(f.Consequences)+f.MoreConsequences))
	}
	return strings.Join(out, " ")
}

func TestNoReport(t *testing.T) {
	for _, text := range []string{
		"", "\n\n", "hello\nworld\n", "[    0.1] x\n",
		"Powered by Unikraft Calypso (0.17.0~ddc5bf7)\n[    0.100000] Info: [libx] <a.c @ 1> all is well\n",
		// A critical message the guest goes on after is no crash.
		"[    0.100000] CRIT: [libx] <a.c @ 1> disk is slow\n[    0.200000] Info: [libx] <a.c @ 2> disk is back\n",
		"RIP: 0010:kfpu_begin+0x2f/0x70 [icp]\n", // Linux's
		"RIP: 0x0000000000400000 <main+12>\n",    // OSv's
		"CFI failures are counted here\n",
		"Unhandled Trap in my test suite\n",
	} {
		if got := scanText(t, text); len(got) != 0 {
			t.Errorf("%q: %s", text, kinds(got))
		}
	}
}

// TestChains: which reports are one fault's, and which are faults of their own.
func TestChains(t *testing.T) {
	const ub = "[    %s] ERR:  [libubsan] <ubsan.c @  1> Undefined behavior at a.c:1:2: division by zero\n"
	const bug = "[    %s] CRIT: [app] <a.c @  1> Assertion failure: x\n"
	for name, tt := range map[string]struct{ text, want string }{
		"ub then crash":          {fmt.Sprintf(ub, "0.100000") + fmt.Sprintf(bug, "0.100100"), "undefined-behavior+1"},
		"ub, a crash much later": {fmt.Sprintf(ub, "0.100000") + fmt.Sprintf(bug, "9.100100"), "undefined-behavior+0 assertion+0"},
		"two boots by clock":     {fmt.Sprintf(bug, "5.100000") + fmt.Sprintf(bug, "0.100100"), "assertion+0 assertion+0"},
		"two boots by halt": {fmt.Sprintf(bug, "0.100000") + "[    0.100001] Info: Unikraft halted\n" + fmt.Sprintf(bug, "0.100100"),
			"assertion+0 assertion+0"},
		"nested faults": {strings.Repeat(fmt.Sprintf(bug, "0.100000"), 40), "assertion+39"},
		"warning then crash": {"[    0.100000] CRIT: [app] <a.c @ 1> Condition warning: y\n" + fmt.Sprintf(bug, "0.100001"),
			"warning+0 assertion+0"},
		"no timestamps": {"Assertion failure: x\nfoo\nAssertion failure: y\n", "assertion+1"},
	} {
		if got := kinds(scanText(t, tt.text)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	f := scanText(t, strings.Repeat(fmt.Sprintf(bug, "0.100000"), 40))[0]
	if len(f.Consequences) != maxConsequences || f.MoreConsequences != 39-maxConsequences {
		t.Errorf("%d consequences kept, %d counted", len(f.Consequences), f.MoreConsequences)
	}
}

// TestEndlessFrames: a corrupt frame pointer makes the guest print its frames for
// ever.
func TestEndlessFrames(t *testing.T) {
	text := "CRIT: RIP: 0000000000156d85 CS: 0008\n" + strings.Repeat("CRIT: base is 0x10f40 caller is 0x1424a7\n", 100000)
	faults := scanText(t, text)
	if len(faults) != 1 || len(faults[0].Backtrace) != 2 {
		t.Fatalf("%s, %d frames", kinds(faults), len(faults[0].Backtrace))
	}
	if !strings.Contains(strings.Join(faults[0].Inferred, "\n"), "frame chain is corrupt") {
		t.Errorf("inferred %q", faults[0].Inferred)
	}
}

// TestUBSanMessages covers the messages of lib/ubsan/ubsan.c.
func TestUBSanMessages(t *testing.T) {
	for msg, sub := range map[string]string{
		"signed integer overflow: 1 + 2 cannot be represented in type 'int'":            "signed-integer-overflow",
		"unsigned integer overflow: 1 - 2 cannot be represented in type 'unsigned int'": "unsigned-integer-overflow",
		"division by zero": SubDivideByZero,
		"negation of -2147483648 cannot be represented in type 'int'":                         "negate-overflow",
		"pointer index expression with base 0x10 overflowed to 0x8":                           "pointer-overflow",
		"index 9 out of bounds for type 'int [4]'":                                            SubOutOfBounds,
		"shift of 1 by 33 out of bounds for type 'int'":                                       "shift",
		"load from null pointer of type 'int'":                                                SubNullDereference,
		"store to misaligned address 0x10f21 for type 'int', which requires 4 byte alignment": "misaligned",
		"access of address 0x10f24 with insufficient space for an object of type 'int'":       SubOutOfBounds,
		"load of value 7, which is not a valid value for type 'bool'":                         "invalid-value",
		"execution reached unreachable program point":                                         "unreachable",
		"execution reached end of value-returning function without returning a value":         "missing-return",
		"calling __builtin_ctz with zero":                                                     "invalid-builtin",
	} {
		f := scanText(t, "CRIT: Undefined behavior at C:/x:1/a b.c:12:34: "+msg+"\n")[0]
		if f.Subkind != sub || f.Location != (Location{"C:/x:1/a b.c", 12, 34}) {
			t.Errorf("%q: %s at %+v, want %s", msg, f.Subkind, f.Location, sub)
		}
	}
}

// TestHeldBytes: a Fault does not change when the scanner reads on.
func TestHeldBytes(t *testing.T) {
	text := "CRIT: <one> [liba] <a.c @ 1> Assertion failure: first\nCRIT: Unikraft halted\n" +
		strings.Repeat("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n", 10000)
	sc := NewScanner(strings.NewReader(text))
	sc.Scan()
	f := sc.Fault()
	for sc.Scan() {
	}
	if f.Thread != "one" || f.Location.File != "a.c" || f.Reason != "assertion failed: first" {
		t.Errorf("got %+v", f)
	}
}

// TestIdleAgain: a banner, a report and another source's report are over at some
// time, and text after them is passed unread again.
func TestIdleAgain(t *testing.T) {
	more := strings.Repeat("all is well\n", maxChainGap+maxForeign+maxChainLines)
	for name, text := range map[string]string{
		"banner":           "Powered by Unikraft Calypso (0.17.0~ddc5bf7)\n",
		"banner, no name":  "Powered by\n",
		"report":           "CRIT: Assertion failure: x\n",
		"another's report": "web-1 | CRIT: Assertion failure: x\n",
		"part of a line":   "2026-11-22T07:00:00.1Z stdout P begun\n",
	} {
		sc := NewScanner(strings.NewReader(text + more + "CRIT: Assertion failure: the last\n"))
		first, _ := sc.lines.next()
		sc.line(first)
		for n := 0; sc.busy && n < maxChainGap+maxForeign+maxChainLines-16; n++ {
			line, _ := sc.lines.next()
			sc.line(line)
		}
		if sc.busy {
			t.Errorf("%s: still waits at line %d", name, sc.lines.number)
		}
	}
}
