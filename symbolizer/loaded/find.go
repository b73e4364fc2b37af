package loaded

import (
	"cmp"
	"context"
	"debug/elf"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// Where says where to look.
type Where struct {
	// Machine is the guest's; images for others are data.
	Machine elf.Machine
	// Areas are run-time addresses at which an area of the guest's address space
	// begins, as its kernel tells.
	Areas []uint64
	// Stacks are places in stacks of the guest's threads, the likely ones first;
	// above them, the auxiliary vector of a program is looked for.
	Stacks []uint64
	// Code are run-time addresses of code of which nothing is known.
	Code []uint64
}

// maxStack is how far above an address of a stack its end is looked for, in bytes.
const maxStack = 256 << 10

// Bounds of what Where may hold; more of it is left out.
const (
	maxAreas  = 1 << 14
	maxStacks = 64
	maxCode   = 64
)

// Find lists the images in memory, by address. Notes tell what could not be read.
// The error is that of the context, or of the link.
func Find(ctx context.Context, mem target.Memory, w Where) (objects []Object, notes []string, err error) {
	f := &finder{ctx: ctx, mem: mem, machine: w.Machine}
	if err := f.areas(w.Areas[:min(len(w.Areas), maxAreas)]); err != nil {
		return nil, nil, err
	}
	f.lists()
	// The vector names the program, which the dynamic loader's list does not. A stack
	// is long, and is read only as long as something is wanted.
	for _, at := range w.Stacks[:min(len(w.Stacks), maxStacks)] {
		if len(f.found) > 0 && !f.unnamed() {
			break
		}
		if o := findAuxv(ctx, mem, at, maxStack); o != nil && f.add(o) {
			f.interpreter(o)
			f.lists()
		}
	}
	for _, addr := range w.Code[:min(len(w.Code), maxCode)] {
		if f.holds(addr) {
			continue
		}
		if o := below(ctx, mem, addr); o != nil {
			o.How = Scan
			f.add(o)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(f.found, func(a, b *Object) int { return cmp.Compare(a.Start, b.Start) })
	for _, o := range f.found {
		objects = append(objects, *o)
	}
	return objects, f.notes, nil
}

type finder struct {
	ctx     context.Context
	mem     target.Memory
	machine elf.Machine
	found   []*Object
	notes   []string
}

// lists adds what the dynamic loaders of the programs found so far have loaded.
func (f *finder) lists() {
	for _, o := range slices.Clone(f.found) {
		if o.listed {
			continue
		}
		list, notes := linkMap(f.ctx, f.mem, o)
		f.notes = append(f.notes, notes...)
		o.listed = true
		for _, l := range list {
			l.listed = true
			f.add(l)
		}
	}
}

func (f *finder) unnamed() bool {
	return slices.ContainsFunc(f.found, func(o *Object) bool { return o.Path == "" })
}

func (f *finder) holds(addr uint64) bool {
	return slices.ContainsFunc(f.found, func(o *Object) bool { return o.Contains(addr) })
}

// add takes an object, or what it tells beyond what is known of the same one. It
// reports whether the object is one of the guest's.
func (f *finder) add(o *Object) bool {
	if !o.ofMachine(f.machine) {
		return false
	}
	for _, have := range f.found {
		if have.Slide != o.Slide || have.dynamic != o.dynamic || o.dynamic == 0 && have.Start != o.Start {
			continue
		}
		if have.Path == "" {
			have.Path = o.Path
		}
		have.How = min(have.How, o.How)
		return true
	}
	if len(f.found) < maxObjects {
		f.found = append(f.found, o)
	}
	return true
}

// areas looks for images at the starts of areas, all at once.
func (f *finder) areas(starts []uint64) error {
	ranges := make([]target.Range, len(starts))
	for i, a := range starts {
		ranges[i] = target.Range{Addr: a, Data: make([]byte, 4)}
	}
	if err := target.ReadMany(f.ctx, f.mem, ranges); err != nil {
		return err
	}
	for _, r := range ranges {
		if r.N < 4 || string(r.Data) != elf.ELFMAG {
			continue
		}
		if o, err := read(f.ctx, f.mem, r.Addr); err == nil && o.isLoaded(f.ctx, f.mem) {
			o.How = Area
			f.add(o)
		}
	}
	return nil
}

// interpreter adds the dynamic loader a vector tells of, which has no list before
// it has run.
func (f *finder) interpreter(program *Object) {
	if program.base == 0 {
		return
	}
	if o, err := read(f.ctx, f.mem, program.base); err == nil && o.isLoaded(f.ctx, f.mem) {
		o.How, o.Path = Auxv, program.Interp
		f.add(o)
	}
}
