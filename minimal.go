package ukdbg

import (
	"context"
	"errors"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

// DefaultDepth is how many pointers a minimal dump follows unless told.
const DefaultDepth = 2

// leftOut says of a minimal dump what it lacks.
const leftOut = "what heap objects hold is left out, but for structures that pointers in variables reach; text and buffers in them are left out, too"

// minimal is what a minimal dump holds, by virtual address.
type minimal struct {
	s   *Session
	rec *witness
	// depth is how many pointers are followed.
	depth int
	// objects are those reached by pointers, so that none is followed twice.
	objects map[uint64]int // by address: the depth it was followed with
	// heap are the stretches allocators deal out: only what is read there is
	// taken.
	heap []stretch
	// stackAt are the stretches read of stacks.
	stackAt []stretch
}

// gather reads all that the readers read, with a witness in place of memory.
func (m *minimal) gather(ctx context.Context) error {
	s := m.s
	m.rec = &witness{memory: s.mem}
	m.objects, m.heap, m.stackAt = map[uint64]int{}, nil, nil
	s.mem = m.rec
	defer func() { s.mem = m.rec.memory }()
	threads, err := s.Threads(ctx)
	if err != nil && (s.kernel != nil || len(s.cpus) > 0) {
		if errors.Is(err, target.ErrLost) || ctx.Err() != nil {
			return err
		}
	}
	m.stacks(ctx, threads)
	m.stackAt = mergeStretches(m.stackAt)
	if s.kernel != nil {
		if err := m.kernel(ctx); err != nil {
			return err
		}
	}
	// A crash is explained from the same bytes as now. That there is none, or that
	// something is missing, is no failure here.
	_, _ = s.Fault(ctx)
	_, _ = s.MachineFault(ctx)
	if s.types != nil && m.depth > 0 {
		m.variables(ctx, threads)
	}
	return ctx.Err()
}

// kernel reads what the kernel's readers read, and learns where the heap is.
func (m *minimal) kernel(ctx context.Context) error {
	s := m.s
	failed := func(err error) error {
		if errors.Is(err, target.ErrLost) || ctx.Err() != nil {
			return err
		}
		return nil // absent, or damaged: it will be on the dump as well
	}
	if _, err := s.kernel.Heap(ctx); failed(err) != nil {
		return err
	}
	if _, err := s.kernel.Uptime(ctx); failed(err) != nil {
		return err
	}
	if _, err := s.kernel.Log(ctx); failed(err) != nil {
		return err
	}
	if mapper, ok := s.kernel.(kernel.HeapMapper); ok {
		areas, err := mapper.HeapMap(ctx, 0, ^uint64(0))
		if failed(err) != nil {
			return err
		}
		for _, a := range areas {
			if len(a.Blocks) == 1 && a.Blocks[0].Use == kernel.BlockMeta {
				continue
			}
			m.heap = append(m.heap, stretch{a.First, a.Last})
		}
		m.heap = mergeStretches(m.heap)
	}
	return nil
}

const (
	// redZone is what lies below a stack pointer and is in use (System V ABI,
	// x86-64, 3.2.2).
	redZone = 128
	// maxStack bounds one frame, and a stack that does not unwind.
	maxStack    = 256 << 10
	brokenStack = 16 << 10
	// aboveStack is read above the outermost frame.
	aboveStack = 64
)

// stacks reads every thread's stack, from its stack pointer up.
func (m *minimal) stacks(ctx context.Context, threads []Thread) {
	for _, t := range threads {
		frames, err := m.s.unwind(ctx, t)
		if t.RegsErr != nil {
			continue
		}
		if len(frames) == 0 || err != nil {
			m.touch(ctx, t.Regs.SP()-redZone, redZone+brokenStack)
		}
		for i, f := range frames {
			low := f.Regs.SP()
			if i == 0 {
				low -= redZone
			}
			if f.CFA > low && f.CFA-low <= maxStack {
				m.touch(ctx, low, f.CFA-low)
				m.stackAt = append(m.stackAt, stretch{low, f.CFA - 1})
			}
			if i == len(frames)-1 {
				m.touch(ctx, f.CFA, aboveStack)
			}
		}
	}
}

// touch reads a range, as far as it goes.
func (m *minimal) touch(ctx context.Context, addr, size uint64) bool {
	if addr+(size-1) < addr {
		return false
	}
	const step = 64 << 10
	buf := make([]byte, min(size, step))
	for off := uint64(0); off < size; off += step {
		n := min(size-off, step)
		if got, err := m.s.mem.ReadMemory(ctx, buf[:n], addr+off); err != nil || uint64(got) < n {
			return false
		}
	}
	return true
}

const (
	// maxObjects bounds the structures that are reached, maxObject one of them in
	// bytes, maxElements those of an array that are looked at for pointers.
	maxObjects  = 50_000
	maxObject   = 64 << 10
	maxElements = 256
	// textLeast is how long an array of characters in a heap object must be to
	// count as text or a buffer.
	textLeast = 16
)

// variables follows the pointers of all frames' variables and of all variables at
// file scope.
func (m *minimal) variables(ctx context.Context, threads []Thread) {
	// Values are read whole, text and buffers in them too: past the witness.
	r := m.s.types.Reader(ctx, m.rec.memory, m.s.mapping.Slide)
	for _, t := range threads {
		frames, err := m.s.Backtrace(ctx, t)
		if err != nil && len(frames) == 0 {
			continue
		}
		for _, f := range frames {
			if m.s.mappingAt(f.PC) != m.s.mapping {
				continue // the types are the kernel's
			}
			fr := m.s.scopeFrame(ctx, f.stack, f.physical, f.depth)
			scope, err := m.s.types.Scope(fr.LookupPC, fr.Inline)
			if err != nil {
				continue
			}
			for _, l := range scope.Locals() {
				if ctx.Err() != nil {
					return
				}
				m.follow(ctx, l.Value(r, fr), m.depth, 0)
			}
		}
	}
	globals, err := m.s.types.Globals()
	if err != nil {
		return // then print of one does not work either
	}
	for _, g := range globals {
		if ctx.Err() != nil {
			return
		}
		if g.HasAddr && g.Type != nil {
			m.follow(ctx, r.Variable(g), m.depth, 0)
		}
	}
}

// follow reads what the pointers in a value lead to.
func (m *minimal) follow(ctx context.Context, v ctype.Value, depth, nested int) {
	if v.Err() != nil || v.Type == nil || depth == 0 || nested > 16 || len(m.objects) > maxObjects || ctx.Err() != nil {
		return
	}
	t := v.Type.Strip()
	if !m.pointers(t, 0) {
		return
	}
	switch t.Kind {
	case ctype.Pointer, ctype.Reference:
		addr, err := v.Pointer()
		elem := t.Elem()
		if err == nil && addr != 0 && elem != nil {
			m.object(ctx, v, addr, elem.Strip(), depth)
		}
	case ctype.Array:
		for i := range min(t.Count(), maxElements) {
			m.follow(ctx, v.Index(i), depth, nested+1)
		}
	case ctype.Struct, ctype.Union:
		for _, f := range t.Fields() {
			m.follow(ctx, v.Member(f), depth, nested+1)
		}
	}
}

// object reads what a pointer points to, but for text and buffers.
func (m *minimal) object(ctx context.Context, v ctype.Value, addr uint64, t *ctype.Type, depth int) {
	switch t.Kind {
	case ctype.Void, ctype.Char, ctype.Func, ctype.Invalid, ctype.Unspecified:
		return
	}
	size := t.Size()
	if size <= 0 || size > maxObject || m.objects[addr] >= depth {
		return
	}
	seen := m.objects[addr] > 0
	m.objects[addr] = depth
	if !seen && !m.shape(ctx, addr, t, 0) {
		return
	}
	m.follow(ctx, v.Deref(), depth-1, 0)
}

// shape reads an object of a type; ok is false if it is not readable.
func (m *minimal) shape(ctx context.Context, addr uint64, t *ctype.Type, nested int) (ok bool) {
	t = t.Strip()
	if nested > 16 || !m.text(t, 0) {
		return m.touch(ctx, addr, uint64(max(1, t.Size())))
	}
	switch t.Kind {
	case ctype.Struct, ctype.Union:
		for _, f := range t.Fields() {
			if n := uint64(max(0, f.Type.Size())); n > 0 && !isText(f.Type.Strip()) && !m.shape(ctx, addr+uint64(f.Offset), f.Type, nested+1) {
				return false
			}
		}
	case ctype.Array:
		elem := t.Elem()
		for i := range min(t.Count(), maxElements) {
			if isText(t) || !m.shape(ctx, addr+uint64(i*elem.Size()), elem, nested+1) {
				return false
			}
		}
	}
	return true
}

// isText reports whether a type is an array that may hold what the guest's users
// have sent it.
func isText(t *ctype.Type) bool {
	if t.Kind != ctype.Array || t.Size() < textLeast {
		return false
	}
	e := t.Elem().Strip()
	return e.Kind == ctype.Char || e.Kind == ctype.Int && e.Size() == 1
}

// text reports whether a type is or holds text.
func (m *minimal) text(t *ctype.Type, nested int) bool {
	t = t.Strip()
	if nested > 16 || isText(t) {
		return isText(t)
	}
	switch t.Kind {
	case ctype.Array:
		return m.text(t.Elem(), nested+1)
	case ctype.Struct, ctype.Union:
		for _, f := range t.Fields() {
			if m.text(f.Type, nested+1) {
				return true
			}
		}
	}
	return false
}

// pointers reports whether a type is or holds a pointer.
func (m *minimal) pointers(t *ctype.Type, nested int) bool {
	t = t.Strip()
	switch {
	case nested > 16:
		return false
	case t.Kind == ctype.Pointer, t.Kind == ctype.Reference:
		return true
	case t.Kind == ctype.Array:
		return m.pointers(t.Elem(), nested+1)
	case t.Kind == ctype.Struct, t.Kind == ctype.Union:
		for _, f := range t.Fields() {
			if m.pointers(f.Type, nested+1) {
				return true
			}
		}
	}
	return false
}
