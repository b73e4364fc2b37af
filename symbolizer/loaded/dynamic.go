package loaded

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
	"github.com/ukdbg/ukdbg/target"
)

// errNone says that no image begins at an address.
var errNone = errors.New("no ELF image of this guest is there")

const (
	maxDynamic = 512  // entries of a dynamic section
	maxObjects = 1024 // of one list
)

// dynamicEntries reads the dynamic section of an object in memory; nil if it is not
// readable or does not end.
func dynamicEntries(ctx context.Context, mem target.Memory, addr uint64) map[elf.DynTag]uint64 {
	out := map[elf.DynTag]uint64{}
	const batch = 32
	for i := 0; i < maxDynamic; i += batch {
		b := make([]byte, 16*batch)
		got, err := mem.ReadMemory(ctx, b, addr+uint64(16*i))
		b = b[:min(max(got, 0), len(b))/16*16]
		for r := dwbuf.New(b, 0); r.Len() > 0; {
			tag, v := elf.DynTag(int64(r.U64())), r.U64()
			if tag == elf.DT_NULL {
				return out
			}
			if _, twice := out[tag]; !twice {
				out[tag] = v
			}
		}
		if err != nil {
			return nil
		}
	}
	return nil
}

// isLoaded reports whether an object is in place as a loader puts it, and not a
// copy of its file: its dynamic section is where its headers say.
func (o *Object) isLoaded(ctx context.Context, mem target.Memory) bool {
	if o.dynamic == 0 {
		return true // nothing tells a static program from its file
	}
	_, ok := dynamicEntries(ctx, mem, o.dynamic)[elf.DT_STRTAB]
	return ok
}

// linkMap lists what the dynamic loader that started main has loaded, main first.
// Notes tell what could not be read.
func linkMap(ctx context.Context, mem target.Memory, main *Object) (out []*Object, notes []string) {
	debug := dynamicEntries(ctx, mem, main.dynamic)[elf.DT_DEBUG]
	if debug == 0 {
		return nil, nil // static, or the dynamic loader has not come to it yet
	}
	// struct r_debug: int version, map, brk, int state, ldbase.
	b := make([]byte, 40)
	if err := target.ReadFull(ctx, mem, b, debug); err != nil {
		return nil, []string{fmt.Sprintf("the dynamic loader's list cannot be read: %v", err)}
	}
	r := dwbuf.New(b, 8)
	next := r.U64()
	r.Skip(8)
	if state := r.U32(); state != 0 {
		notes = append(notes, "the dynamic loader is changing its list just now")
	}
	seen := map[uint64]bool{}
	for next != 0 {
		if seen[next] || len(seen) == maxObjects {
			return out, append(notes, "the dynamic loader's list does not end")
		}
		seen[next] = true
		// struct link_map: addr, name, ld, next, prev.
		b := make([]byte, 32)
		if err := target.ReadFull(ctx, mem, b, next); err != nil {
			return out, append(notes, fmt.Sprintf("the dynamic loader's list cannot be read on: %v", err))
		}
		r := dwbuf.New(b, 0)
		slide, name, ld := r.U64(), r.U64(), r.U64()
		next = r.U64()
		o := atDynamic(ctx, mem, slide, ld)
		o.How, o.Path = LinkMap, readString(ctx, mem, name, maxPath)
		out = append(out, o)
	}
	return out, notes
}

// atDynamic reads the object whose dynamic section is at ld. Where its headers are
// not in memory, no more is known than where it is.
func atDynamic(ctx context.Context, mem target.Memory, slide, ld uint64) *Object {
	if o, err := read(ctx, mem, slide); err == nil && o.dynamic == ld {
		return o
	}
	// Linked to an address of its own, as programs that are not PIE.
	if o := below(ctx, mem, ld); o != nil && o.dynamic == ld {
		return o
	}
	return &Object{Slide: slide, Start: ld, Last: ld, dynamic: ld}
}

// maxBelow is how far below an address the start of its image is looked for, in
// pages; batchBelow is how many are read together.
const (
	maxBelow   = 16 << 10
	batchBelow = 64
)

// below looks for the image that holds an address: for the nearest ELF header at
// the start of a page below it. It stops at what cannot be read.
func below(ctx context.Context, mem target.Memory, addr uint64) *Object {
	page := addr &^ (pageSize - 1)
	for done := 0; done < maxBelow; done += batchBelow {
		ranges := make([]target.Range, 0, batchBelow)
		for range batchBelow {
			ranges = append(ranges, target.Range{Addr: page, Data: make([]byte, 4)})
			if page == 0 {
				break
			}
			page -= pageSize
		}
		if target.ReadMany(ctx, mem, ranges) != nil {
			return nil
		}
		readable := false
		for _, r := range ranges {
			readable = readable || r.N > 0
			if r.N < 4 || string(r.Data) != elf.ELFMAG {
				continue
			}
			if o, err := read(ctx, mem, r.Addr); err == nil && o.Contains(addr) && o.isLoaded(ctx, mem) {
				return o
			}
		}
		if !readable || page == 0 {
			return nil
		}
	}
	return nil
}
