package analysis

import (
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// Where records tell thread and CPU, a thread waits from when another runs on its
// CPU until it records again, there or elsewhere.
func TestWaitedInRings(t *testing.T) {
	const a, b, c = 0xa000, 0xb000, 0xc000
	tr := newTrace(t)
	tr.AddExtended(10, ring(c, 1), "note", "elsewhere")
	tr.AddExtended(100, ring(a, 0), "mutex_lock", 0x10)
	tr.AddExtended(110, ring(a, 0), "mutex_lock_ret", 0x10)
	tr.AddExtended(120, ring(b, 0), "sched_switch", "a", "b", 1)
	tr.AddExtended(130, ring(b, 0), "mutex_lock", 0x10)
	tr.AddExtended(140, ring(a, 0), "sched_switch", "b", "a", 1)
	tr.AddExtended(150, ring(a, 0), "mutex_unlock", 0x10)
	// b wakes on the other CPU; that CPU 0 goes on with another is not its wait.
	tr.AddExtended(170, ring(b, 1), "sched_switch", "c", "b", 1)
	tr.AddExtended(180, ring(c, 0), "sched_switch", "a", "c", 1)
	tr.AddExtended(200, ring(b, 1), "mutex_lock_ret", 0x10)
	locks, waited := NewLocks(), uint64(0)
	with(t, &Query{}, tr, Visitor{Record: locks.Record, Span: func(s *Seen, sp *tracebuf.Span) error {
		waited += sp.Waited
		return locks.Span(s, sp)
	}})
	got := locks.Locks()
	if len(got) != 1 || got[0].Wait.Count() != 2 || got[0].Contended != 1 || got[0].Wait.Sum() != 10+70 || waited != 170-140 {
		t.Errorf("%+v, %d ns waited", got, waited)
	}
}
