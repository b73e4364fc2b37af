package unikraft

import (
	"slices"
	"testing"
)

func TestKeptWaits(t *testing.T) {
	all := []WaitObject{
		{Name: "cache.lock", Kind: "mutex", Addr: 0x1000, Queue: 0x1010, Owner: 0x1008},
		{Name: "slots[3]", Kind: "semaphore", Addr: 1 << 63, Queue: 1 << 63},
	}
	for _, want := range [][]WaitObject{nil, all} {
		got, ok := decodeWaits(encodeWaits(want))
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%v became %v, %v", want, got, ok)
		}
	}
	if encodeWaits([]WaitObject{{Name: "a\tb"}}) != nil {
		t.Error("a name that does not fit was kept")
	}
	whole := encodeWaits(all)
	for i := range whole {
		if got, ok := decodeWaits(whole[:i]); ok && len(got) >= len(all) && i < len(whole)-1 {
			t.Errorf("cut at %d it gives %v", i, got)
		}
	}
}

// FuzzKeptWaits reads what a cache may hold.
func FuzzKeptWaits(f *testing.F) {
	f.Add(encodeWaits([]WaitObject{{Name: "m", Kind: "mutex", Addr: 1, Queue: 2, Owner: 3}}))
	f.Add([]byte("waits\n\t\t\t\t\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		if all, ok := decodeWaits(text); ok && len(all) > maxQueues+1 {
			t.Errorf("%d objects", len(all))
		}
	})
}
