package ctype

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// maxBlock is the largest object read as a whole when one member of it is asked
// for, in bytes. Members of larger ones are read one by one.
const maxBlock = 16 << 10

// Reader reads typed values of one guest. Its values keep what they have read:
// they show the guest as it was then, and are to be dropped when it runs on.
type Reader struct {
	ctx   context.Context
	mem   target.Memory
	types *Types
	slide uint64
}

// Reader returns a reader of mem for the types of ts. The slide is run-time
// minus link-time address. The context ends all reads of the values made.
func (ts *Types) Reader(ctx context.Context, mem target.Memory, slide uint64) *Reader {
	return &Reader{ctx: ctx, mem: mem, types: ts, slide: slide}
}

// Types returns the types the reader reads by.
func (r *Reader) Types() *Types { return r.types }

// Slide returns run-time minus link-time address.
func (r *Reader) Slide() uint64 { return r.slide }

// Memory returns the memory the reader reads.
func (r *Reader) Memory() target.Memory { return r.mem }

// Context returns the context of the reads.
func (r *Reader) Context() context.Context { return r.ctx }

// At returns the object of type t at a run-time address. Nothing is read yet.
func (r *Reader) At(t *Type, addr uint64) Value {
	return Value{Type: t, Addr: addr, Lval: InMemory, r: r, blk: &block{addr: addr, size: t.Size()}}
}

// AtName is At with a type's name, as Lookup understands it.
func (r *Reader) AtName(typ string, addr uint64) Value {
	t, err := r.types.Lookup(typ)
	if err != nil {
		return r.Fail(err)
	}
	return r.At(t, addr)
}

// Global returns the variable of a name at file scope.
func (r *Reader) Global(name string) Value {
	v, err := r.types.Global(name)
	if err != nil {
		return r.Fail(err)
	}
	return r.Variable(v)
}

// Variable returns a variable at file scope.
func (r *Reader) Variable(v Variable) Value {
	if v.Const != nil {
		return r.Make(v.Type, v.Const)
	}
	if v.expr != nil {
		x := &evaluator{ts: r.types, r: r, frame: &Frame{}, unit: v.unit}
		return x.object(v.Type, v.expr)
	}
	if !v.HasAddr {
		return r.FailType(v.Type, fmt.Errorf("%s: %w", v.Name, ErrOptimizedOut))
	}
	return r.At(v.Type, v.Addr+r.slide)
}

// Make returns a value that lives nowhere in the guest. Data is little-endian
// and as long as the type; missing bytes are zero.
func (r *Reader) Make(t *Type, data []byte) Value {
	if n := t.Size(); int64(len(data)) < n && n <= maxBlock {
		data = append(data[:len(data):len(data)], make([]byte, n-int64(len(data)))...)
	}
	return Value{Type: t, Lval: NotLval, r: r, blk: &block{size: int64(len(data)), data: data, done: true}}
}

// MakeInt returns an integer value of type t.
func (r *Reader) MakeInt(t *Type, v uint64) Value {
	size := int(min(max(t.Size(), 1), 16))
	b := make([]byte, size)
	fill := byte(0)
	if t.IsSigned() && int64(v) < 0 {
		fill = 0xff
	}
	for i := range b {
		if i < 8 {
			b[i] = byte(v >> (8 * i))
		} else {
			b[i] = fill
		}
	}
	return r.Make(t, b)
}

// Fail returns a value that carries an error.
func (r *Reader) Fail(err error) Value { return Value{Type: voidType(), r: r, err: err} }

// FailType returns a value whose type is known but which cannot be had.
func (r *Reader) FailType(t *Type, err error) Value { return Value{Type: t, r: r, err: err} }

// Load reads the objects of many values in one go, so that a slow link is
// crossed once. Each value carries its own error; the one returned is that of
// the link.
func (r *Reader) Load(values ...Value) error {
	var ranges []target.Range
	var blocks []*block
	for _, v := range values {
		b := v.blk
		if v.err != nil || b == nil || b.done || b.size <= 0 || b.size > maxBlock {
			continue
		}
		b.done = true // also so that a value given twice is read once
		ranges = append(ranges, target.Range{Addr: b.addr, Data: make([]byte, b.size)})
		blocks = append(blocks, b)
	}
	if len(ranges) == 0 {
		return nil
	}
	err := target.ReadMany(r.ctx, r.mem, ranges)
	for i, b := range blocks {
		if err != nil {
			b.done = false
			continue
		}
		b.data, b.err = ranges[i].Data, ranges[i].Err
		if b.err == nil && ranges[i].N < len(b.data) {
			b.err = &target.FaultError{Addr: b.addr + uint64(ranges[i].N)}
		}
		if b.err != nil {
			b.data = nil
		}
	}
	return err
}

// block is the storage of one object, shared by the values of its members.
type block struct {
	addr uint64
	size int64
	data []byte
	done bool
	err  error
	// holes are the bits that were optimized out.
	holes []hole
}

// bytes returns n bytes at off within the object, reading the whole of it the
// first time.
func (r *Reader) bytes(b *block, off, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if n < 0 || n > maxRead {
		return nil, fmt.Errorf("an object of %d bytes is not read at once", n)
	}
	if !b.done && b.size > 0 && b.size <= maxBlock {
		data := make([]byte, b.size)
		b.done = true
		if b.err = target.ReadFull(r.ctx, r.mem, data, b.addr); b.err == nil {
			b.data = data
		} else if errors.Is(b.err, target.ErrLost) || r.ctx.Err() != nil {
			b.done = false
			return nil, b.err
		}
	}
	for _, h := range b.holes {
		if uint64(8*off) < h.to && h.from < uint64(8*(off+n)) {
			return nil, ErrOptimizedOut
		}
	}
	if b.data != nil && off >= 0 && off+n <= int64(len(b.data)) {
		return b.data[off : off+n : off+n], nil
	}
	if b.addr == 0 && b.data != nil {
		return nil, errors.New("past the end of a value that has no address")
	}
	// Larger than a block, past its end (a flexible array), or a block a part
	// of which is not readable: this part alone may be.
	p := make([]byte, n)
	if err := target.ReadFull(r.ctx, r.mem, p, b.addr+uint64(off)); err != nil {
		return nil, err
	}
	return p, nil
}

// maxRead bounds one read, in bytes.
const maxRead = 16 << 20
