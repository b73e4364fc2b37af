package unikraft

import "fmt"

// walk follows a list of structs through a fetcher. Step goes as far as what was
// read allows; the guest's pointers are hostile, so it ends at a circle, at
// limit nodes and at what is not readable.
type walk struct {
	what  string // for notes: "thread list of the scheduler at 0x…"
	next  uint64
	link  field // the pointer to the next node, within a node
	size  int   // of a node
	limit int
	// marker: a node with a zero link is the end marker and no node (the free
	// lists of the buddy allocator).
	marker bool

	seen map[uint64]bool
	// nodes are the addresses, in order.
	nodes []uint64
	ended bool
	note  string
	// complete: the list ended as lists do.
	complete bool

	// tail is the next address of the reading ahead from the list's end, head
	// what the first node's back link points at, ahead how many came so.
	prev       field
	tail, head uint64
	ahead      int
}

func newWalk(what string, first uint64, link field, size uint64, limit int) *walk {
	return &walk{what: what, next: first, link: link, size: int(size), limit: limit, seen: map[uint64]bool{}}
}

// backwards prefetches from the last node too, which halves the round trips: a
// TAILQ's head and back links point at the link member of the node before. What
// comes this way is only read ahead, never believed.
func (w *walk) backwards(head, lastLink uint64, prev field) *walk {
	w.prev, w.head = prev, head
	w.back(lastLink)
	return w
}

func (w *walk) back(link uint64) {
	w.tail = 0
	if link != 0 && link != w.head && w.prev.ok {
		w.tail = link - w.link.off
	}
}

func (w *walk) end(note string) {
	w.ended = true
	if note != "" {
		w.note = fmt.Sprintf("%s: %s after %d entries", w.what, note, len(w.nodes))
	}
	w.complete = note == ""
}

// step advances and reports whether the walk has ended.
func (w *walk) step(f *fetcher) bool {
	w.readAhead(f)
	for !w.ended {
		switch {
		case w.next == 0:
			if w.marker {
				w.end("it ends without its end marker")
			} else {
				w.end("")
			}
			return true
		case w.seen[w.next]:
			w.end(fmt.Sprintf("it runs in a circle at %#x", w.next))
			return true
		case len(w.nodes) >= w.limit:
			w.end("it is longer than this is read")
			return true
		}
		b, ok, err := f.get(w.next, w.size)
		if !ok {
			return false
		}
		if err != nil {
			w.end(fmt.Sprintf("the entry at %#x is not readable (%v)", w.next, err))
			return true
		}
		following, ok := w.link.get(b)
		if !ok {
			w.end("its entries have no link in this image")
			return true
		}
		if w.marker && following == 0 {
			w.end("")
			return true
		}
		w.seen[w.next] = true
		w.nodes = append(w.nodes, w.next)
		w.next = following
	}
	return true
}

func (w *walk) readAhead(f *fetcher) {
	for w.tail != 0 && !w.ended && w.ahead < w.limit && !w.seen[w.tail] {
		b, ok, err := f.get(w.tail, w.size)
		if !ok {
			return
		}
		w.ahead++
		if err != nil {
			w.tail = 0
			return
		}
		w.back(w.prev.value(b))
	}
}
