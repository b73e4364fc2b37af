package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/spool"
)

// receiver answers as it is told and remembers what it took.
type receiver struct {
	mu     sync.Mutex
	answer func(b delivery.Batch) (delivery.Reply, error)
	got    []string
	times  []time.Time
}

func (r *receiver) Send(ctx context.Context, b delivery.Batch) (delivery.Reply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, time.Now())
	var reply delivery.Reply
	if r.answer != nil {
		var err error
		if reply, err = r.answer(b); err != nil {
			return reply, err
		}
	}
	r.got = append(r.got, fmt.Sprintf("%s %d %s", b.Signal, b.Items, b.Payload))
	return reply, nil
}

func (r *receiver) set(f func(b delivery.Batch) (delivery.Reply, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func gone(delivery.Batch) (delivery.Reply, error) {
	return delivery.Reply{}, &delivery.Passing{Err: errors.New("nobody listens")}
}

func open(t *testing.T, dir string, limit int64) *spool.Spool {
	t.Helper()
	s, err := spool.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func put(t *testing.T, q *delivery.Queue, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := q.Put(t.Context(), delivery.Batch{Signal: delivery.Logs, Items: 2, Payload: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func numbers(from, to int) (want []string) {
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprintf("logs 2 %d", i))
	}
	return want
}

// While the receiver is away batches wait, then they arrive in order, each once.
func TestQueueWaitsAndSendsInOrder(t *testing.T) {
	for _, disk := range []bool{false, true} {
		t.Run(fmt.Sprintf("disk=%v", disk), func(t *testing.T) {
			r := &receiver{answer: gone}
			opt := delivery.Options{Name: "r", Sender: r}
			if disk {
				opt.Spool = open(t, t.TempDir(), 0)
			}
			q := delivery.New(opt)
			put(t, q, 0, 10)
			soon(t, "a failed attempt", func() bool { return q.Stats().Retries > 0 })
			st := q.Stats()
			if st.Waiting != 10 || st.InMemory != map[bool]int{false: 10}[disk] || st.Away.IsZero() || st.LastError != "nobody listens" || st.WaitingBytes == 0 {
				t.Errorf("while away: %+v", st)
			}
			r.set(func(b delivery.Batch) (delivery.Reply, error) {
				if string(b.Payload) == "3" {
					return delivery.Reply{Rejected: 1, Message: "too old"}, nil
				}
				return delivery.Reply{}, nil
			})
			put(t, q, 10, 12)
			if err := q.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := r.taken(); !slices.Equal(got, numbers(0, 12)) {
				t.Errorf("arrived: %q", got)
			}
			st = q.Stats()
			if st.Accepted != 23 || st.Rejected != 1 || st.Waiting != 0 || st.WaitingBytes != 0 || !st.Away.IsZero() || !slices.Equal(st.Notes, []string{"too old"}) {
				t.Errorf("at the end: %+v", st)
			}
			if err := q.Put(t.Context(), delivery.Batch{Items: 1}); !errors.Is(err, delivery.ErrClosed) || !errors.Is(err, delivery.ErrDropped) {
				t.Errorf("put into a closed queue: %v", err)
			}
		})
	}
}

// The receiver's own time to wait is kept, to the second.
func TestRetryAfterIsHonoured(t *testing.T) {
	first := true
	r := &receiver{answer: func(delivery.Batch) (delivery.Reply, error) {
		if first {
			first = false
			return delivery.Reply{}, &delivery.Passing{Err: errors.New("slow down"), After: 1200 * time.Millisecond}
		}
		return delivery.Reply{}, nil
	}}
	q := delivery.New(delivery.Options{Sender: r})
	put(t, q, 0, 1)
	soon(t, "the batch", func() bool { return len(r.taken()) == 1 })
	if d := r.times[1].Sub(r.times[0]); d < 1200*time.Millisecond {
		t.Errorf("tried again after %v, was asked to wait 1.2 s", d)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What does not fit is dropped, told to the one who puts it, and counted.
func TestFullQueueDrops(t *testing.T) {
	for name, opt := range map[string]delivery.Options{
		"memory": {MaxMemory: 10},
		"disk":   {Spool: open(t, t.TempDir(), 10*4096)},
	} {
		t.Run(name, func(t *testing.T) {
			opt.Sender = &receiver{answer: gone}
			q := delivery.New(opt)
			put(t, q, 0, 10)
			err := q.Put(t.Context(), delivery.Batch{Signal: delivery.Logs, Items: 2, Payload: []byte("x")})
			if !errors.Is(err, delivery.ErrDropped) {
				t.Errorf("put into a full queue: %v", err)
			}
			st := q.Stats()
			if st.Dropped[delivery.DropFull] != 2 || st.Items != 22 || st.Waiting != 10 {
				t.Errorf("%+v", st)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err = q.Close(ctx)
			var e *delivery.Error
			if !errors.As(err, &e) || errors.Is(err, delivery.ErrDropped) != (name == "memory") {
				t.Errorf("closing: %v", err)
			}
			if st = q.Stats(); name == "memory" && (st.Dropped[delivery.DropClosed] != 20 || st.Waiting != 0) || name == "disk" && st.Waiting != 10 {
				t.Errorf("after closing: %+v", st)
			}
		})
	}
}

// When the disk takes no more, memory does, and order and batches are kept.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	r := &receiver{answer: gone}
	q := delivery.New(delivery.Options{Sender: r, Spool: open(t, dir, 0), MaxMemory: 2})
	put(t, q, 0, 3)
	// What is written from here on meets a device that is full.
	if err := os.Symlink("/dev/full", filepath.Join(dir, "unfinished")); err != nil {
		t.Fatal(err)
	}
	put(t, q, 3, 4)
	st := q.Stats()
	if st.Waiting != 4 || st.InMemory != 1 || st.DiskError == "" {
		t.Errorf("on a full disk: %+v", st)
	}
	for i := 4; i < 8; i++ { // the failed write removed the link: the disk has room again
		put(t, q, i, i+1)
	}
	r.set(nil)
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.taken(); !slices.Equal(got, numbers(0, 8)) {
		t.Errorf("arrived: %q", got)
	}
}

// A batch that nobody takes does not hold up the others; a receiver that takes
// none is asked again rarely, and nothing is lost for it.
func TestRefusedAndFinal(t *testing.T) {
	dir := t.TempDir()
	r := &receiver{answer: func(b delivery.Batch) (delivery.Reply, error) {
		switch string(b.Payload) {
		case "1":
			return delivery.Reply{}, &delivery.Refused{Err: errors.New("bad data")}
		case "3":
			return delivery.Reply{}, errors.New("401 who are you?")
		}
		return delivery.Reply{}, nil
	}}
	q := delivery.New(delivery.Options{Sender: r, Spool: open(t, dir, 0)})
	put(t, q, 0, 5)
	soon(t, "the final error", func() bool { return !q.Stats().Away.IsZero() })
	time.Sleep(50 * time.Millisecond)
	st := q.Stats()
	if got := r.taken(); !slices.Equal(got, []string{"logs 2 0", "logs 2 2"}) || st.Failed != 2 || st.Waiting != 2 || len(st.Notes) != 1 || st.Retries != 0 {
		t.Errorf("arrived %q, %+v", got, st)
	}
	if aside, err := filepath.Glob(filepath.Join(dir, "*.refused")); err != nil || len(aside) != 1 {
		t.Errorf("set aside: %v %v", aside, err)
	}
	if n := len(r.times); n != 4 {
		t.Errorf("%d attempts", n)
	}
	// Someone put it right; the end of the queue is a chance to notice.
	r.set(nil)
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Push ends at once where the receiver takes nothing as things are, however patient;
// what it kept is there for the next time.
func TestPushEndsAtAFinalFailure(t *testing.T) {
	for _, disk := range []bool{false, true} {
		r := &receiver{answer: func(delivery.Batch) (delivery.Reply, error) { return delivery.Reply{}, errors.New("401") }}
		opt := delivery.PushOptions{Options: delivery.Options{Name: "r", Sender: r}, Patience: time.Hour}
		if disk {
			opt.Spool = open(t, t.TempDir(), 0)
		}
		big := make([]byte, 20<<20)
		st, err := delivery.Push(t.Context(), func(yield func(delivery.Batch, error) bool) {
			yield(delivery.Batch{Signal: delivery.Profiles, Items: 1, Payload: big}, nil)
		}, opt)
		var failed *delivery.Error
		if !errors.As(err, &failed) || failed.Passing || len(r.times) != 1 || st.Waiting != map[bool]int{true: 1}[disk] || st.Failed != map[bool]int{false: 1}[disk] {
			t.Errorf("disk=%v: %d attempts, %v, %+v", disk, len(r.times), err, st)
		}
	}
}

// joiner is a receiver that takes joined batches, and refuses requests with "bad".
type joiner struct {
	receiver
	requests []string
}

func (j *joiner) Joins(s delivery.Signal) bool { return s == delivery.Logs }

func (j *joiner) Send(ctx context.Context, b delivery.Batch) (delivery.Reply, error) {
	r, err := j.receiver.Send(ctx, b)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil && strings.Contains(string(b.Payload), "bad") {
		err = &delivery.Refused{Err: errors.New("bad data")}
	}
	if err == nil {
		j.requests = append(j.requests, fmt.Sprintf("%s %d %s", b.Signal, b.Items, b.Payload))
	}
	return r, err
}

// What waits goes in one request of its signal; of a request that is refused only
// the batch that deserves it is lost.
func TestJoinedRequests(t *testing.T) {
	for _, disk := range []bool{false, true} {
		t.Run(fmt.Sprintf("disk=%v", disk), func(t *testing.T) {
			j := &joiner{}
			j.answer = gone
			opt := delivery.Options{Sender: j}
			if disk {
				opt.Spool = open(t, t.TempDir(), 0)
			}
			q := delivery.New(opt)
			send := func(signal delivery.Signal, payload string) {
				if err := q.Put(t.Context(), delivery.Batch{Signal: signal, Items: 2, Payload: []byte(payload)}); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range []string{"a", "b", "c", "d"} {
				send(delivery.Logs, p)
			}
			send(delivery.Profiles, "p")
			send(delivery.Profiles, "q")
			for _, p := range []string{"e", "bad", "f"} {
				send(delivery.Logs, p)
			}
			big := strings.Repeat("x", 1<<20)
			for range 3 {
				send(delivery.Logs, big)
			}
			soon(t, "a failed attempt", func() bool { return q.Stats().LastError != "" })
			j.set(func(b delivery.Batch) (delivery.Reply, error) {
				if string(b.Payload) == "abcd" {
					return delivery.Reply{Rejected: 3}, nil
				}
				return delivery.Reply{}, nil
			})
			if err := q.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			// The request refused was of "e", "bad", "f" and a big one: each of these goes alone.
			want := []string{"logs 8 abcd", "profiles 2 p", "profiles 2 q", "logs 2 e", "logs 2 f", "logs 2 " + big, "logs 4 " + big + big}
			if !slices.Equal(j.requests, want) {
				for _, r := range j.requests {
					t.Errorf("%.60s (%d bytes)", r, len(r))
				}
			}
			st := q.Stats()
			if st.Accepted != 2*11-3 || st.Rejected != 3 || st.Failed != 2 || st.Waiting != 0 || st.WaitingBytes != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}
