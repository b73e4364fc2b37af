package ukdbg

import (
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/delivery"
)

// PushedText tells a person what became of spans, or of what else item names, that
// were pushed, a line for each thing to tell.
func PushedText(st delivery.Stats, item string) string {
	var b strings.Builder
	batches := "batches"
	if st.Batches == 1 {
		batches = "batch"
	}
	fmt.Fprintf(&b, "%s sent in %d %s, %d accepted, %d rejected", plural(st.Items, item), st.Batches, batches, st.Accepted, st.Rejected)
	if st.Replayed > 0 {
		fmt.Fprintf(&b, ", %d from the spool", st.Replayed)
	}
	switch {
	case st.Waiting == 1:
		b.WriteString(", 1 batch waits in the spool")
	case st.Waiting > 1:
		fmt.Fprintf(&b, ", %d batches wait in the spool", st.Waiting)
	}
	b.WriteByte('\n')
	for _, n := range st.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}
