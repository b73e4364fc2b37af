package ukdbg

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// Owner is what an address belongs to. There may be several answers, as of a
// thread's stack that is a heap block: the most telling comes first.
type Owner struct {
	Addr  uint64
	Facts []OwnerFact
	// Notes say what could not be asked.
	Notes []string
}

// OwnerKind is what kind of thing an address is in.
type OwnerKind string

const (
	OwnedBySymbol    OwnerKind = "symbol"
	OwnedBySection   OwnerKind = "section"
	OwnedByStack     OwnerKind = "stack"
	OwnedByGuard     OwnerKind = "guard-page" // below a stack, and not mapped
	OwnedByThread    OwnerKind = "thread"     // its structure
	OwnedByHeap      OwnerKind = "heap"
	OwnedByTrace     OwnerKind = "trace-buffer"
	OwnedByConsole   OwnerKind = "console-ring"
	OwnedByPageTable OwnerKind = "page-table"
	OwnedByDevice    OwnerKind = "mmio"
	OwnedByNobody    OwnerKind = "unmapped"
	OwnedByRAM       OwnerKind = "ram" // of no owner that is known
)

// OwnerFact is one thing an address is in.
type OwnerFact struct {
	Kind OwnerKind
	// Name is the symbol's, section's, thread's or allocator's; Text the whole
	// sentence.
	Name, Text string
	// First and Last are its extent, both 0 where that is not known.
	First, Last uint64
	// Block and its neighbours are those of a heap block, nil otherwise.
	Block, Before, Behind *kernel.Block
}

// Offset is how far addr is into what a fact tells of.
func (f OwnerFact) Offset(addr uint64) uint64 { return addr - f.First }

// String is the most telling answer.
func (o Owner) String() string {
	if len(o.Facts) == 0 {
		return fmt.Sprintf("nothing is known of %#x", o.Addr)
	}
	return o.Facts[0].Text
}

// WriteOwner shows what an address belongs to.
func WriteOwner(w io.Writer, o Owner) {
	fmt.Fprintf(w, "%#x: %s\n", o.Addr, escape(o.String()))
	for _, f := range o.Facts[min(1, len(o.Facts)):] {
		fmt.Fprintf(w, "  %s\n", escape(f.Text))
	}
	for _, n := range o.Notes {
		fmt.Fprintf(w, "  note: %s\n", escape(n))
	}
}

// Owner tells what an address belongs to: a symbol or section of the image, a
// thread's stack or structure, a heap block and its neighbours, the trace
// buffer, the console ring, a page table, a device, or nothing.
func (s *Session) Owner(ctx context.Context, addr uint64) (Owner, error) {
	o := Owner{Addr: addr}
	err := s.settle(ctx, func() error {
		w := &ownerSearch{s: s, Owner: Owner{Addr: addr}}
		err := w.run(ctx)
		o = w.Owner
		return err
	})
	return o, err
}

type ownerSearch struct {
	s *Session
	Owner
}

func (w *ownerSearch) add(f OwnerFact) { w.Facts = append(w.Facts, f) }

func (w *ownerSearch) run(ctx context.Context) error {
	areas := w.heapMap(ctx)
	threads, err := w.s.Threads(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		w.Notes = append(w.Notes, fmt.Sprintf("threads: %v", err))
	}
	w.stacks(ctx, threads, areas)
	w.buffers(ctx)
	w.image()
	w.heap(areas)
	return w.physical(ctx, threads)
}

// heapMap lists the blocks around the address.
func (w *ownerSearch) heapMap(ctx context.Context) []kernel.HeapArea {
	m, ok := w.s.kernel.(kernel.HeapMapper)
	if !ok {
		return nil
	}
	areas, err := m.HeapMap(ctx, w.Addr, w.Addr)
	if err != nil {
		w.Notes = append(w.Notes, fmt.Sprintf("heap: %v", err))
	}
	return areas
}

// stacks tells a thread's stack or structure.
func (w *ownerSearch) stacks(ctx context.Context, threads []Thread, areas []kernel.HeapArea) {
	size := w.s.threadSize()
	for _, t := range threads {
		if t.Addr != 0 && size != 0 && w.Addr-t.Addr < size && w.s.kernel != nil {
			w.add(OwnerFact{
				Kind: OwnedByThread, Name: t.Name, First: t.Addr, Last: t.Addr + size - 1,
				Text: fmt.Sprintf("struct uk_thread of %s, offset %d", threadName(t), w.Addr-t.Addr),
			})
		}
		w.stack(ctx, t, areas)
	}
}

func threadName(t Thread) string {
	if t.Name == "" {
		return fmt.Sprintf("thread %d", t.ID)
	}
	return fmt.Sprintf("%s (thread %d)", t.Name, t.ID)
}

// stack tells whether the address is in one thread's stack: between its lowest
// address and the end of the heap block that lies in, or what unwinding shows of
// it.
func (w *ownerSearch) stack(ctx context.Context, t Thread, areas []kernel.HeapArea) {
	frames, _ := w.s.Backtrace(ctx, t) // what there is of it
	var sp, top uint64
	if t.RegsErr == nil && len(frames) > 0 {
		sp, top = t.Regs.SP(), frames[len(frames)-1].CFA
	}
	low, last := t.Stack, uint64(0)
	if low != 0 {
		last = low
		if top > low {
			last = top - 1
		}
		if b := blockOf(areas, low); b != nil && b.Use == kernel.BlockUsed && !b.Joined {
			last = max(last, b.Last())
			if b.Object != 0 && b.Object+b.Asked > low {
				last = max(last, b.Object+b.Asked-1)
			}
		}
	} else if sp != 0 && top > sp {
		low, last = sp, top-1
	}
	if low == 0 || w.Addr < low || w.Addr > last {
		return
	}
	f := OwnerFact{Kind: OwnedByStack, Name: t.Name, First: low, Last: last, Text: "stack of " + threadName(t)}
	switch {
	case sp != 0 && w.Addr < sp && w.Addr >= low:
		f.Text += fmt.Sprintf(", %d bytes below its stack pointer", sp-w.Addr)
	case len(frames) > 0:
		for _, fr := range frames {
			if !fr.Inline && w.Addr < fr.CFA && fr.CFA > sp {
				f.Text += fmt.Sprintf(", in the frame of %s (#%d)", fr.Loc.Short(), fr.Level)
				break
			}
		}
	}
	w.add(f)
}

// blockOf is the smallest block around an address.
func blockOf(areas []kernel.HeapArea, addr uint64) *kernel.Block {
	var best *kernel.Block
	for _, a := range areas {
		if _, b, _ := a.At(addr); b != nil && (best == nil || b.Size < best.Size) {
			best = b
		}
	}
	return best
}

// threadSize is the size of struct uk_thread, 0 if it is not known.
func (s *Session) threadSize() uint64 {
	if s.kernelImage == nil {
		return 0
	}
	n, err := s.kernelImage.SizeOf("uk_thread")
	if err != nil {
		return 0
	}
	return n
}

// buffers tells the trace buffer and the console ring.
func (w *ownerSearch) buffers(ctx context.Context) {
	if w.s.kernel == nil {
		return
	}
	if loc, err := w.s.kernel.TraceBuffer(); err == nil && w.Addr-loc.Buffer < loc.Size {
		w.add(OwnerFact{
			Kind: OwnedByTrace, Name: "uk_trace_buffer", First: loc.Buffer, Last: loc.Buffer + loc.Size - 1,
			Text: fmt.Sprintf("the trace buffer, offset %d of %d", w.Addr-loc.Buffer, loc.Size),
		})
	}
	r, ok := w.s.kernel.(interface {
		LogRange(ctx context.Context) (addr, size uint64, err error)
	})
	if !ok {
		return
	}
	if at, size, err := r.LogRange(ctx); err == nil && w.Addr-at < size {
		w.add(OwnerFact{
			Kind: OwnedByConsole, Name: "uk_console_ring", First: at, Last: at + size - 1,
			Text: fmt.Sprintf("the console ring, offset %d of %d", w.Addr-at, size),
		})
	}
}

// image tells the symbol and the section.
func (w *ownerSearch) image() {
	s := w.s
	if s.image == nil {
		return
	}
	link := w.Addr - s.mapping.Slide
	sec, ok := s.image.SectionAt(link)
	if !ok {
		return
	}
	if sym, ok := s.image.Symbol(link); ok && (sym.Size == 0 || link-sym.Addr < sym.Size) {
		name := symbolizer.Demangle(sym.Name)
		f := OwnerFact{Kind: OwnedBySymbol, Name: name, First: s.mapping.Run(sym.Addr)}
		text := name
		if off := link - sym.Addr; off > 0 {
			text = fmt.Sprintf("%s + %d", name, off)
		}
		if sym.Size > 0 {
			f.Last = f.First + sym.Size - 1
			text += fmt.Sprintf(" (of %d bytes)", sym.Size)
		}
		f.Text = text + " in section " + sec.Name
		if locs, err := s.image.Resolve(link); err == nil && len(locs) > 0 && locs[0].File != "" {
			f.Text += fmt.Sprintf(", %s:%d", locs[0].File, locs[0].Line)
		}
		w.add(f)
		return
	}
	w.add(OwnerFact{
		Kind: OwnedBySection, Name: sec.Name, First: s.mapping.Run(sec.Addr), Last: s.mapping.Run(sec.Addr) + sec.Size - 1,
		Text: fmt.Sprintf("section %s + %d, no symbol", sec.Name, link-sec.Addr),
	})
}

// heap tells the block, of the innermost allocator first.
func (w *ownerSearch) heap(areas []kernel.HeapArea) {
	var facts []OwnerFact
	for _, a := range areas {
		if w.Addr < a.First || w.Addr > a.Last {
			continue
		}
		before, b, behind := a.At(w.Addr)
		f := OwnerFact{Kind: OwnedByHeap, Name: a.Kind, First: a.First, Last: a.Last}
		if b == nil {
			f.Text = fmt.Sprintf("memory of the %s allocator at %#x, which does not tell its blocks", a.Kind, a.Allocator)
		} else {
			f.Block, f.Before, f.Behind = b, before, behind
			f.First, f.Last = b.Addr, b.Last()
			f.Text = heapText(w.Addr, a, before, b, behind)
		}
		at := len(facts)
		for at > 0 && facts[at-1].Last-facts[at-1].First > f.Last-f.First {
			at--
		}
		facts = append(facts[:at], append([]OwnerFact{f}, facts[at:]...)...)
	}
	w.Facts = append(w.Facts, facts...)
}

func heapText(addr uint64, a kernel.HeapArea, before, b, behind *kernel.Block) string {
	var text strings.Builder
	switch b.Use {
	case kernel.BlockMeta:
		fmt.Fprintf(&text, "records of the %s allocator at %#x, offset %d of %d", a.Kind, a.Allocator, addr-b.Addr, b.Size)
		return text.String()
	case kernel.BlockFree:
		fmt.Fprintf(&text, "free heap block %#x of %s (%s), offset %d", b.Addr, size(b.Size), a.Kind, addr-b.Addr)
	case kernel.BlockLost:
		fmt.Fprintf(&text, "heap memory %#x of %s that is free by one record and in no free list (%s), offset %d", b.Addr, size(b.Size), a.Kind, addr-b.Addr)
	case kernel.BlockUsed:
		if b.Joined {
			fmt.Fprintf(&text, "allocated heap pages %#x-%#x (%s, as pages: where one allocation ends is not recorded), offset %d", b.Addr, b.Last(), a.Kind, addr-b.Addr)
			break
		}
		fmt.Fprintf(&text, "allocated heap block %#x of %s (%s)", b.Addr, size(b.Size), a.Kind)
		switch {
		case b.Object == 0 && b.Asked == 0:
			fmt.Fprintf(&text, ", offset %d", addr-b.Addr)
		case b.Object == 0:
			fmt.Fprintf(&text, ", asked for as %d bytes, offset %d", b.Asked, addr-b.Addr)
		case addr < b.Object:
			fmt.Fprintf(&text, ", in its header, %d bytes before the object of %d bytes", b.Object-addr, b.Asked)
		case addr-b.Object < b.Asked:
			fmt.Fprintf(&text, ", byte %d of an object of %d bytes at %#x", addr-b.Object, b.Asked, b.Object)
		default:
			fmt.Fprintf(&text, ", %d bytes past the end of its object of %d bytes at %#x", addr-b.Object-b.Asked, b.Asked, b.Object)
		}
	}
	near := func(what string, n *kernel.Block) {
		if n != nil {
			fmt.Fprintf(&text, "; %s: %s %#x of %s", what, n.Use, n.Addr, size(n.Size))
		}
	}
	near("before", before)
	near("behind", behind)
	return text.String()
}
