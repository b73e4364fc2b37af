package ukdbg

import (
	"testing"
	"time"
)

// What is owed is paid by the time in which the guest runs: profiles that follow one
// another within the budget never wait longer and longer.
func TestStopLedger(t *testing.T) {
	var l stopLedger
	at := time.Unix(0, 0)
	if owed := l.owes(20*time.Millisecond, 0.02, at); owed != 20*time.Millisecond {
		t.Fatalf("%v owed at first, not all of it", owed)
	}
	stopped := 20 * time.Millisecond
	for range 100 {
		stopped += 20 * time.Millisecond // 2 % of the second that passes
		at = at.Add(time.Second)
		if owed := l.owes(stopped, 0.02, at); owed != 20*time.Millisecond {
			t.Fatalf("%v owed at %v, after seconds that each paid for themselves", owed, at)
		}
	}
	at = at.Add(time.Second / 2)
	if owed := l.owes(stopped, 0.02, at); owed != 10*time.Millisecond {
		t.Errorf("%v owed after half of it was paid", owed)
	}
	at = at.Add(time.Hour)
	if owed := l.owes(stopped, 0.02, at); owed != 0 {
		t.Errorf("%v owed after an hour", owed)
	}
	if owed := l.owes(stopped+time.Second, 0.02, at); owed != time.Second {
		t.Errorf("%v owed: an hour of rest pays for what was, not for what comes", owed)
	}
}
