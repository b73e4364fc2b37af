package tailsample

import (
	"sync"
	"unsafe"

	"github.com/ukdbg/ukdbg/exporters"
)

// Room is the memory for spans that wait for the ends of their traces, of all guests of
// a host together; the zero Room has none until Resize. It is safe for concurrent use.
type Room struct {
	mu    sync.Mutex // of all samplers that share the room
	most  int64
	bytes int64
	spans int
	by    map[*Sampler]struct{} // those of which something waits
}

// RoomStats tell how full a room is.
type RoomStats struct {
	Spans int
	// Bytes are about what the spans take up, Most what they may.
	Bytes, Most int64
}

// NewRoom makes a room of so many bytes.
func NewRoom(most int64) *Room { return &Room{most: most} }

// Resize makes the room another size. Where it is too small then, room is made with the
// next span.
func (r *Room) Resize(most int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = most
}

// Stats tell how full it is.
func (r *Room) Stats() RoomStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return RoomStats{Spans: r.spans, Bytes: r.bytes, Most: r.most}
}

// hold counts spans that begin or, below 0, end to wait.
func (r *Room) hold(s *Sampler, spans int, bytes int64) {
	r.spans, r.bytes = r.spans+spans, r.bytes+bytes
	s.spans, s.bytes = s.spans+spans, s.bytes+bytes
	if s.spans == 0 {
		delete(r.by, s)
		return
	}
	if r.by == nil {
		r.by = map[*Sampler]struct{}{}
	}
	r.by[s] = struct{}{}
}

// fullest is the sampler that holds most. There is one: the room is too full.
func (r *Room) fullest() (most *Sampler) {
	for s := range r.by {
		if most == nil || s.bytes > most.bytes {
			most = s
		}
	}
	return most
}

// sizeOf is about what a span takes up in memory. Names are left out, which spans
// share.
func sizeOf(s *exporters.Span) int64 {
	n := unsafe.Sizeof(*s) + attrsSize(s.Attrs) + uintptr(len(s.ErrText)) + unsafe.Sizeof(uint64(0))*uintptr(len(s.Flows))
	for i := range s.Events {
		e := &s.Events[i]
		n += unsafe.Sizeof(*e) + attrsSize(e.Attrs) + unsafe.Sizeof(uint64(0))*uintptr(len(e.Flows))
	}
	return int64(n)
}

func attrsSize(list []exporters.Attr) (n uintptr) {
	for i := range list {
		n += unsafe.Sizeof(list[i]) + uintptr(len(list[i].Str))
	}
	return n
}
