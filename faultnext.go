package ukdbg

import (
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
)

// next says what to look at next.
func (x *explainer) next() {
	f := x.f
	add := func(format string, args ...any) { f.Next = append(f.Next, fmt.Sprintf(format, args...)) }
	trace := ""
	if f.Thread != "" && x.s.hasTrace() {
		trace = "what " + f.Thread + " did before: ukdbg trace list TARGET --thread " + quoted(f.Thread) + " --last 20"
	}
	if x.s.image == nil {
		add("names and source lines: give the image with -e NAME.dbg")
	}
	switch {
	case x.s.image == nil:
	case f.Object != nil && f.Object.Kind == string(OwnedByHeap):
		add("the heap around it: ukdbg heap TARGET --owner %#x", x.faultAddress().V)
	case f.Kind == asserts.StackOverflow:
		add("what ends the recursion, or a larger stack for the thread")
	case f.Kind == asserts.UnknownTrap:
		add("the machine itself: ukdbg crash on a dump, or on the guest while it stands")
	}
	if x.thread == nil && x.s.image != nil && f.Kind != asserts.UnknownTrap {
		add("values of variables: ukdbg crash and attach on a dump, or on the guest while it stands (the log has none)")
	} else if x.thread != nil && len(x.frames) > 0 {
		add("the variables there: ukdbg attach TARGET, then frame 0, info locals")
	}
	if trace != "" {
		add("%s", trace)
	}
}

// quoted is a word for a shell. A guest names its threads as it likes, and the
// command may be pasted.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
