package sampling

import (
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

const ms = int64(time.Millisecond)

// request is a trace of three spans: two in one, which takes as long as told.
func request(id uint64, took time.Duration, failed bool) []exporters.Span {
	end := int64(took)
	return []exporters.Span{
		{ID: id + 2, Parent: id + 1, Root: id, Name: "lock", Start: 2, End: end / 2, Err: failed},
		{ID: id + 1, Parent: id, Root: id, Name: "read", Start: 1, End: end - 1},
		{ID: id, Root: id, Name: "serve", Start: 0, End: end},
	}
}

func TestPolicy(t *testing.T) {
	s := New(Policy{Slow: 100 * time.Millisecond, Errors: true, Keep: 0.01}, nil, "i")
	now := time.Now()
	roots := map[uint64]int{}
	for i := range uint64(20000) {
		id := 10 * (i + 1)
		took, failed := time.Millisecond, false
		switch {
		case i%1000 == 7:
			took = 150 * time.Millisecond
		case i%1000 == 9:
			failed = true
		}
		for _, sp := range s.Add(now, request(id, took, failed)) {
			roots[sp.Root]++
		}
	}
	for i := range uint64(20000) {
		if n := roots[10*(i+1)]; n != 0 && n != 3 {
			t.Errorf("%d spans of a trace of 3 were kept", n)
		}
		if n := roots[10*(i+1)]; (i%1000 == 7 || i%1000 == 9) && n != 3 {
			t.Errorf("slow or failed trace %d was not kept", i)
		}
	}
	st := s.Stats()
	if st.Slow != 20 || st.Failed != 20 || st.Others < 150 || st.Others > 250 || st.Seen != 60000 || st.Kept+st.Sampled != 60000 {
		t.Errorf("%+v", st)
	}
	durations, failed := s.Points(now, now)
	if len(durations) != 3 || durations[2].Count != 20000 || len(failed) != 1 || failed[0].Value != 20 {
		t.Errorf("%+v\n%+v", durations, failed)
	}
	var sum uint64
	for _, n := range durations[2].Buckets {
		sum += n
	}
	if sum != 20000 || durations[2].Buckets[9] != 20 || len(durations[2].Buckets) != len(durations[2].Bounds)+1 {
		t.Errorf("%v", durations[2].Buckets)
	}
}

// Two readings of one trace are decided on alike, and another run's otherwise.
func TestSameChoice(t *testing.T) {
	a, b, c := New(Policy{Keep: 0.5}, nil, "i"), New(Policy{Keep: 0.5}, nil, "i"), New(Policy{Keep: 0.5}, nil, "j")
	same := 0
	for id := range uint64(1000) {
		if a.chosen(id) != b.chosen(id) {
			t.Fatal("one trace, two choices")
		}
		if a.chosen(id) == c.chosen(id) {
			same++
		}
	}
	if same < 400 || same > 600 {
		t.Errorf("two runs agree on %d of 1000", same)
	}
}

// Slow traces have room where ordinary ones have used up theirs.
func TestBudget(t *testing.T) {
	b := NewBudget(30)
	s := New(Policy{Slow: 100 * time.Millisecond, Keep: 1}, b, "i")
	now := time.Now()
	kept := 0
	for i := range uint64(1000) {
		kept += len(s.Add(now, request(10*(i+1), time.Millisecond, false)))
	}
	if kept != 75 {
		t.Errorf("%d spans of ordinary traces, half of five seconds' are 75", kept)
	}
	if n := len(s.Add(now, request(1e6, time.Second, false))); n != 3 {
		t.Errorf("a slow trace got %d spans", n)
	}
	if n := len(s.Add(now.Add(time.Second), request(2e6, time.Millisecond, false))); n != 3 {
		t.Errorf("a second later %d", n)
	}
	if st := s.Stats(); st.Budget != 3000-75 {
		t.Errorf("%+v", st)
	}
}

// What never ends, and what is too large, is bounded.
func TestBounds(t *testing.T) {
	s := New(Policy{Keep: 1}, nil, "i")
	now := time.Now()
	for i := range uint64(100_000) {
		s.Add(now, []exporters.Span{{ID: 2*i + 1, Root: 2 * i, Parent: 2 * i, Name: "x", End: ms}})
		s.Add(now, []exporters.Span{{ID: 1e9 + i, Root: 7, Parent: 7, Name: "y", End: ms}})
	}
	if len(s.waiting) > maxTraces || s.spans > maxWait || len(s.waiting[7].spans) > maxSpans {
		t.Errorf("%d traces, %d spans wait", len(s.waiting), s.spans)
	}
	late := s.Add(now.Add(2*patience), nil)
	if len(late) == 0 || len(s.waiting) != 0 || s.spans != 0 {
		t.Errorf("%d spans of traces without a root, %d traces still wait", len(late), len(s.waiting))
	}
	if st := s.Stats(); st.Seen != 200_000 || st.Kept+st.Beyond != st.Seen {
		t.Errorf("%+v", st)
	}
}
