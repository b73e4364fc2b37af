package loaded

import (
	"context"
	"debug/elf"
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target"
)

// Entries of the auxiliary vector, as Linux numbers them.
const (
	atNull   = 0
	atPhdr   = 3
	atBase   = 7
	atExecfn = 31
	// atLast is above all that are in use; maxAuxv is how many there may be.
	atLast  = 64
	maxAuxv = 40
)

// auxv is what the auxiliary vector of a program says.
type auxv struct{ phdr, base, execfn uint64 }

// stackStep is how much of a stack is read at a time, in bytes.
const stackStep = 64 << 10

// findAuxv looks for auxiliary vectors in memory from addr on, n bytes at most. A
// vector is one only if AT_PHDR leads to an image; see fromAuxv.
func findAuxv(ctx context.Context, mem target.Memory, addr, n uint64) *Object {
	addr &^= 7
	for done := uint64(0); done < n; done += stackStep {
		ranges := make([]target.Range, stackStep/pageSize)
		for i := range ranges {
			ranges[i] = target.Range{Addr: addr + done + uint64(i)*pageSize, Data: make([]byte, pageSize)}
		}
		if target.ReadMany(ctx, mem, ranges) != nil {
			return nil
		}
		any := false
		for _, r := range ranges {
			block := r.Data[:min(max(r.N, 0), len(r.Data))]
			any = any || len(block) > 0
			for i := 0; i+8 <= len(block); i += 8 {
				if binary.LittleEndian.Uint64(block[i:]) != atPhdr {
					continue
				}
				if o := fromAuxv(ctx, mem, vectorAround(ctx, mem, r.Addr+uint64(i))); o != nil {
					return o
				}
			}
		}
		if !any {
			return nil
		}
	}
	return nil
}

// vectorAround reads the entries around the one at an address, which is AT_PHDR.
func vectorAround(ctx context.Context, mem target.Memory, addr uint64) auxv {
	var v auxv
	for _, step := range []int64{16, -16} {
		for k := int64(0); k < maxAuxv; k++ {
			b := make([]byte, 16)
			if target.ReadFull(ctx, mem, b, addr+uint64(k*step)) != nil {
				break
			}
			kind, value := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			if kind == atNull || kind >= atLast {
				break
			}
			switch kind {
			case atPhdr:
				v.phdr = value
			case atBase:
				v.base = value
			case atExecfn:
				v.execfn = value
			}
		}
	}
	return v
}

// fromAuxv reads the program a vector tells of, nil if there is none.
func fromAuxv(ctx context.Context, mem target.Memory, v auxv) *Object {
	if v.phdr == 0 {
		return nil
	}
	for _, header := range []uint64{v.phdr - ehdr, v.phdr &^ (pageSize - 1)} {
		o, err := read(ctx, mem, header)
		if err != nil || !o.isLoaded(ctx, mem) {
			continue
		}
		o.How = Auxv
		o.Path = readString(ctx, mem, v.execfn, maxPath)
		o.base = v.base
		return o
	}
	return nil
}

// ofMachine reports whether the object is code of the guest's processor.
func (o *Object) ofMachine(m elf.Machine) bool { return o.machine == m || o.machine == elf.EM_NONE }
