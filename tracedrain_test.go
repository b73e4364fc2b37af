package ukdbg

import (
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

// What was read before is not recorded twice, whether a reset failed or was taken
// back.
func TestFresh(t *testing.T) {
	b := &bufferDrainer{r: &recorder{}}
	for i, step := range []struct {
		data    string
		emptied bool
		want    string
		undone  uint64
	}{
		{"abc", true, "abc", 0},
		{"def", false, "def", 0},   // the guest was inside a tracepoint
		{"defgh", false, "gh", 0},  // and again
		{"defghij", true, "ij", 0}, // now it is empty
		{"kl", true, "kl", 0},      //
		{"klmn", true, "mn", 1},    // the pointers of before were put back
		{"opqrstuv", true, "opqrstuv", 1},
	} {
		if got := string(b.fresh([]byte(step.data), step.emptied)); got != step.want || b.r.stats.Undone != step.undone {
			t.Errorf("reading %d: %q, %d undone; want %q, %d", i, got, b.r.stats.Undone, step.want, step.undone)
		}
	}
}

// A record that has no magic number yet is read again when the guest stands still.
func TestWhole(t *testing.T) {
	tr := tracetest.New(t, "vfs_open path=%s", "vfs_open_ret fd=%d")
	tr.Add(1, "vfs_open", "/a")
	tr.Add(2, "vfs_open_ret", 3)
	complete := len(tr.Records)
	tr.Add(3, "vfs_open", "/b")
	if n := whole(tr.Records, tr.Definitions, 0); n != len(tr.Records) {
		t.Errorf("%d of %d bytes", n, len(tr.Records))
	}
	copy(tr.Records[complete:], make([]byte, 4))
	if n := whole(tr.Records, tr.Definitions, 0); n != complete {
		t.Errorf("%d bytes, want %d", n, complete)
	}
	// Another slide: nothing is sure.
	if n := whole(tr.Records, tr.Definitions, 0x1000); n != 0 {
		t.Errorf("%d bytes with a wrong slide", n)
	}
}
