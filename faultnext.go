package ukdbg

import (
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
)

// noLevel says that a frame is not in the thread's backtrace.
const noLevel = -1

// next says what to look at next: by commands of the session for who types at
// one, by those of a shell for all others.
func (x *explainer) next() {
	f := x.f
	add := func(format string, args ...any) { f.Next = append(f.Next, fmt.Sprintf(format, args...)) }
	by := func(shell, prompt string) string {
		if x.prompt {
			return prompt
		}
		return shell
	}
	if x.s.image == nil {
		add("names and source lines: give the image with -e NAME.dbg")
		return
	}
	switch {
	case f.Object != nil && f.Object.Kind == string(OwnedByHeap):
		add("the heap around it: %s %#x", by("ukdbg heap TARGET --owner", "owner"), x.faultAddress().V)
	case f.Kind == asserts.StackOverflow:
		add("what ends the recursion, or a larger stack for the thread")
	case f.Kind == asserts.UnknownTrap:
		at := "ukdbg crash on a dump, or on the guest while it stands"
		if x.thread != nil { // it is what was asked
			at = "ukdbg attach TARGET, then info all-registers, x/8i $pc"
		}
		add("the machine itself: %s", by(at, "info all-registers, x/8i $pc"))
	}
	switch {
	case x.thread == nil && f.Kind != asserts.UnknownTrap:
		add("values of variables: ukdbg crash and attach on a dump, or on the guest while it stands (the log has none)")
	case x.thread != nil && x.level != noLevel:
		add("the variables there: %sframe %d, info locals", by("ukdbg attach TARGET, then ", ""), x.level)
	}
	if f.Thread != "" && x.s.hasTrace() {
		add("%s", by("what "+f.Thread+" did before: ukdbg trace list TARGET --thread "+quoted(f.Thread)+" --last 20",
			"what was done before: trace 20"))
	}
}

// quoted is a word for a shell. A guest names its threads as it likes, and the
// command may be pasted.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
