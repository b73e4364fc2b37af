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
	// ring is the list head a circular list ends at, 0 for one that ends with 0.
	ring uint64
	// inside tells whether an entry can lie there; nil for anywhere.
	inside func(addr uint64) bool

	seen map[uint64]bool
	// nodes are the addresses, in order.
	nodes []uint64
	ended bool
	note  string
	// complete: the list ended as lists do.
	complete bool
	// bad is the entry, or the head, that holds what cannot be true, 0 for none.
	bad uint64

	// prev is a node's back link, head what the first node's points at. tail is
	// the next address of the reading ahead, ahead how many came so.
	prev       field
	tail, head uint64
	ahead      int
}

func newWalk(what string, first uint64, link field, size uint64, limit int) *walk {
	return &walk{what: what, next: first, link: link, size: int(size), limit: limit, seen: map[uint64]bool{}}
}

// backwards tells where the list's first and last link are and where a node has
// its back link. Back links prove the way forward. The list is then read ahead
// from its end too, which halves the round trips: a TAILQ's last and back links
// point at the link of the node before. What comes this way is only read ahead,
// never believed.
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

// broken ends the list at a link that cannot be followed: the entry it was read
// from is the damaged one.
func (w *walk) broken(note string) {
	if w.bad == 0 {
		if n := len(w.nodes); n > 0 {
			w.bad = w.nodes[n-1]
		} else {
			w.bad = w.head
		}
	}
	w.end(note)
}

// step advances and reports whether the walk has ended.
func (w *walk) step(f *fetcher) bool {
	w.readAhead(f)
	for !w.ended {
		switch {
		case w.ring != 0 && w.next == w.ring:
			w.end("")
			return true
		case w.next == 0:
			switch {
			case w.marker:
				w.broken("it ends without its end marker")
			case w.ring != 0:
				w.broken("it ends with 0 and does not come back to its head")
			default:
				w.end("")
			}
			return true
		case w.seen[w.next]:
			w.broken(fmt.Sprintf("it runs in a circle at %#x", w.next))
			return true
		case w.inside != nil && !w.inside(w.next):
			w.broken(fmt.Sprintf("it leads to %#x, which is no place for an entry,", w.next))
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
			w.broken(fmt.Sprintf("the entry at %#x is not readable (%v)", w.next, err))
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
		w.checkBack(b)
		w.seen[w.next] = true
		w.nodes = append(w.nodes, w.next)
		w.next = following
	}
	return true
}

// checkBack compares a node's back link with the way that led to it. A list
// that is being changed, or is damaged, is told and followed all the same.
func (w *walk) checkBack(b []byte) {
	back, ok := w.prev.get(b)
	from := w.head
	if n := len(w.nodes); n > 0 {
		from = w.nodes[n-1]
		if w.ring == 0 {
			from += w.link.off // a TAILQ's points at the link; a struct uk_list_head's at the entry
		}
	}
	if ok && from != 0 && back != from && w.note == "" {
		w.bad = w.next
		w.note = fmt.Sprintf("%s: the back link of the entry at %#x is %#x and should be %#x; the list is being changed or is damaged", w.what, w.next, back, from)
	}
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
