package main

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"testing"
)

// tracedRecord is a record as trace list tells it.
type tracedRecord struct {
	Time   uint64 `json:"time_ns"`
	Name   string
	Args   []any
	Thread string
}

func (l *tracedRecord) num(i int) uint64 { return uint64(l.Args[i].(float64)) }

// jsonLines reads a verb's lines of JSON.
func jsonLines[T any](t *testing.T, args ...string) (out []T) {
	t.Helper()
	for line := range strings.Lines(mustVerb(t, append([]string{"trace"}, args...)...)) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		t.Fatalf("%q says nothing", args)
	}
	return out
}

type lockCount struct{ Taken, Contended, Wait, Hold uint64 }
type sizeCount struct{ Allocated, Freed, Live uint64 }
type threadCount struct{ Switches, Wakeups, Running, Off uint64 }

// counts are what the records say, by the plainest way to count them.
type counts struct {
	locks   map[string]*lockCount
	sizes   map[uint64]*sizeCount
	threads map[string]*threadCount
}

func entry[K comparable, V any](m map[K]*V, k K) *V {
	if m[k] == nil {
		m[k] = new(V)
	}
	return m[k]
}

// count goes through all records. Everything is taken from the records' own
// arguments: the guest tells in mutex_lock whether the lock was held, and in
// sched_switch who runs.
func count(records []tracedRecord) counts {
	c := counts{map[string]*lockCount{}, map[uint64]*sizeCount{}, map[string]*threadCount{}}
	asked := map[string]tracedRecord{} // by thread
	wanted := map[string]uint64{}      // sizes, by thread
	taken := map[string]uint64{}       // times, by lock
	live := map[uint64]uint64{}        // sizes, by address
	on, off := map[string]uint64{}, map[string]uint64{}
	woken := map[string]bool{}
	for _, r := range records {
		switch r.Name {
		case "mutex_lock":
			asked[r.Thread] = r
		case "mutex_lock_ret":
			// Its second argument is who took it.
			who := r.Args[1].(string)
			lock, ok := asked[who]
			if !ok || lock.num(0) != r.num(0) {
				continue
			}
			delete(asked, who)
			address := "0x" + strconv.FormatUint(r.num(0), 16)
			l := entry(c.locks, address)
			l.Taken++
			l.Contended += lock.num(1)
			l.Wait += r.Time - lock.Time
			taken[address] = r.Time
		case "mutex_unlock":
			address := "0x" + strconv.FormatUint(r.num(0), 16)
			if since, ok := taken[address]; ok {
				entry(c.locks, address).Hold += r.Time - since
				delete(taken, address)
			}
		case "malloc":
			wanted[r.Thread] = r.num(0)
		case "malloc_ret":
			if size, ok := wanted[r.Thread]; ok {
				entry(c.sizes, size).Allocated++
				live[r.num(0)] = size
				delete(wanted, r.Thread)
			}
		case "free":
			if size, ok := live[r.num(0)]; ok {
				entry(c.sizes, size).Freed++
				delete(live, r.num(0))
			}
		case "sched_switch":
			from, to := r.Args[0].(string), r.Args[1].(string)
			if since, ok := on[from]; ok {
				entry(c.threads, from).Running += r.Time - since
				delete(on, from)
			}
			entry(c.threads, from)
			off[from] = r.Time
			woken[from] = false
			th := entry(c.threads, to)
			th.Switches++
			if since, ok := off[to]; ok {
				th.Off += r.Time - since
				delete(off, to)
			}
			if woken[to] {
				th.Wakeups++
				woken[to] = false
			}
			on[to] = r.Time
		case "sched_wakeup":
			if who := r.Args[0].(string); on[who] == 0 {
				woken[who] = true
				entry(c.threads, who)
			}
		}
	}
	for _, size := range live {
		entry(c.sizes, size).Live++
	}
	return c
}

// What waits, locks and allocs count is what the records of the guest say.
func TestTraceCounts(t *testing.T) {
	for _, file := range []string{guestTrace, cutTrace, ringTrace} {
		want := count(jsonLines[tracedRecord](t, "list", "--format", "json", file))
		got := counts{map[string]*lockCount{}, map[uint64]*sizeCount{}, map[string]*threadCount{}}
		for _, l := range jsonLines[struct {
			Address          string
			Taken, Contended uint64
			Wait             uint64 `json:"wait_total_ns"`
			Hold             uint64 `json:"hold_total_ns"`
		}](t, "locks", "--json", file) {
			got.locks[l.Address] = &lockCount{l.Taken, l.Contended, l.Wait, l.Hold}
		}
		for _, a := range jsonLines[struct{ Size, Allocated, Freed, Failed, Live uint64 }](t, "allocs", "--json", file) {
			got.sizes[a.Size] = &sizeCount{a.Allocated, a.Freed, a.Live}
		}
		for _, w := range jsonLines[struct {
			Thread            string
			Switches, Wakeups uint64
			Running           uint64 `json:"running_ns"`
			Off               uint64 `json:"off_ns"`
		}](t, "waits", "--json", file) {
			got.threads[w.Thread] = &threadCount{w.Switches, w.Wakeups, w.Running, w.Off}
		}
		compare(t, file+": locks", got.locks, want.locks)
		compare(t, file+": sizes", got.sizes, want.sizes)
		compare(t, file+": threads", got.threads, want.threads)
	}
}

func compare[K comparable, V comparable](t *testing.T, what string, got, want map[K]*V) {
	t.Helper()
	if len(want) < 2 {
		t.Errorf("%s: the records have %d", what, len(want))
	}
	all := maps.Clone(want)
	maps.Copy(all, got)
	for k := range all {
		switch g, w := got[k], want[k]; {
		case g == nil:
			t.Errorf("%s: nothing of %v, want %+v", what, k, *w)
		case w == nil:
			t.Errorf("%s: %v has %+v, which the records do not say", what, k, *g)
		case *g != *w:
			t.Errorf("%s: %v has %+v, want %+v", what, k, *g, *w)
		}
	}
}
