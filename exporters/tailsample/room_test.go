package tailsample

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// inner are spans whose outermost one does not come.
func inner(from, n int) (spans []exporters.Span) {
	for i := range n {
		id := uint64(2 * (from + i))
		spans = append(spans, exporters.Span{ID: id + 2, Root: id + 1, Name: "read", Start: 1, End: 2, Err: i%2 == 0})
	}
	return spans
}

// The spans that wait of all guests together have a limit; who holds most makes room,
// and nobody else loses anything. Nothing is counted twice or not at all.
func TestRoom(t *testing.T) {
	one := sizeOf(&inner(0, 1)[0])
	room := NewRoom(1000 * one)
	p := Policy{Errors: true, Slow: -1}
	greedy, modest := New(p, nil, room, "greedy"), New(p, nil, room, "modest")
	kept := len(modest.Add(begin, inner(0, 100)))
	for i := range 50 {
		kept += len(greedy.Add(begin, inner(i*100, 100)))
		if st := room.Stats(); st.Bytes > st.Most || st.Spans > 1000 || st.Bytes != int64(st.Spans)*one {
			t.Fatalf("%+v after %d spans", st, i*100)
		}
	}
	if st := modest.Stats(); st.Unfinished != 0 || st.Crowded != 0 {
		t.Errorf("who holds least lost something: %+v", st)
	}
	if st := greedy.Stats(); st.Crowded != 5000-900 || st.Crowded != st.Unfinished || st.Kept != uint64(kept) || kept != (5000-900)/2 {
		t.Errorf("who holds most: %+v, %d kept", st, kept)
	}
	// What comes later takes its part of the room from who has more than that, whose
	// traces are handed out with its own next spans.
	if out := modest.Add(begin, inner(1000, 500)); len(out) != 50 {
		t.Errorf("%d spans of a guest of which about half of 100 had to go", len(out))
	}
	m, g := modest.Stats(), greedy.Stats()
	if m.Crowded != 100 || g.Crowded != 4500 {
		t.Errorf("each has half of the room: %+v, %+v", m, g)
	}
	out := greedy.Add(begin, nil)
	if len(out) != 200 {
		t.Errorf("%d spans were decided upon meanwhile, want 200", len(out))
	}
	for _, s := range out {
		if !s.Err {
			t.Fatalf("%+v is not worth it", s)
		}
	}
	modest.Restart("modest+1")
	if st := room.Stats(); st.Spans != 500 {
		t.Errorf("%+v after one begins anew", st)
	}
	greedy.Flush(begin)
	if st := room.Stats(); st.Spans != 0 || st.Bytes != 0 || len(room.by) != 0 {
		t.Errorf("%+v when nothing waits", st)
	}
	if g := greedy.Stats(); g.Seen != g.Kept+g.Sampled {
		t.Errorf("%+v", g)
	}
}

// A room is used from many goroutines, and made smaller meanwhile.
func TestRoomIsShared(t *testing.T) {
	room := NewRoom(1 << 20)
	var wg sync.WaitGroup
	samplers := make([]*Sampler, 8)
	for i := range samplers {
		s := New(Policy{Errors: true, Keep: 0.5}, NewBudget(1000), room, fmt.Sprint(i))
		samplers[i] = s
		wg.Go(func() {
			for n := range 100 {
				s.Add(begin.Add(time.Duration(n)*time.Second), inner(n*50, 50))
				room.Resize(int64(1000-n) << 10)
				s.Points(begin, begin)
			}
			s.Flush(begin)
		})
	}
	wg.Wait()
	if st := room.Stats(); st.Spans != 0 || st.Bytes != 0 {
		t.Errorf("%+v", st)
	}
	for _, s := range samplers {
		// What was decided upon for others after the last call is handed out by none.
		if st := s.Stats(); st.Seen != 5000 || st.Kept+st.Sampled+st.Budget != 5000 {
			t.Errorf("%+v", st)
		}
	}
}
