package corefile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/ukdbg/ukdbg/target/arch"
)

// The kdump-compressed format (diskdump): in blocks of the page size a header, a
// sub-header, two bitmaps (which page frames exist, which are in the dump), a
// descriptor for each page that is in it, and the pages (makedumpfile,
// IMPLEMENTATION and diskdump_mod.h; QEMU include/sysemu/dump.h).
const (
	kdumpMagic = "KDUMP   "
	// Offsets in struct disk_dump_header of 64-bit machines.
	kdVersion  = 8
	kdMachine  = 12 + 4*65 // utsname.machine
	kdStatus   = 424
	kdBlock    = 428
	kdSubSize  = 432
	kdBitmaps  = 436
	kdMaxMapNr = 440
	kdHeader   = 464
	// Offsets in struct kdump_sub_header of 64-bit machines.
	ksLevel    = 8
	ksSplit    = 12
	ksInfo     = 32
	ksNotes    = 48
	ksMapNr    = 96
	ksHeader   = 104
	kdDesc     = 24 // size of a page descriptor
	kdPartial  = 8  // status: the dump was not written to its end
	kdSections = 2  // the bitmaps
)

// maxBitmap bounds what is kept of the bitmaps: a bit for each page, so 2 TiB of
// memory with pages of 4 KiB.
const maxBitmap = 64 << 20

func isKdump(head []byte) bool { return bytes.HasPrefix(head, []byte(kdumpMagic)) }

func readKdump(in input) (*contents, error) {
	h := in.head
	if len(h) < kdHeader {
		return nil, malformed("it is a kdump file cut off in its header")
	}
	le := binary.LittleEndian
	version, block := le.Uint32(h[kdVersion:]), uint64(le.Uint32(h[kdBlock:]))
	subBlocks, mapBlocks := uint64(le.Uint32(h[kdSubSize:])), uint64(le.Uint32(h[kdBitmaps:]))
	frames := uint64(le.Uint32(h[kdMaxMapNr:]))
	if block < 4<<10 || block > 64<<10 || bits.OnesCount64(block) != 1 {
		return nil, malformed("it is a kdump file with blocks of %d bytes", block)
	}
	sub := make([]byte, ksHeader)
	if err := readAt(in.r, sub, int64(block)); err != nil {
		return nil, malformed("it is a kdump file cut off in its second header")
	}
	if version >= 6 {
		frames = le.Uint64(sub[ksMapNr:])
	}
	half := mapBlocks * block / kdSections
	if half > maxBitmap {
		return nil, malformed("it is a kdump file whose bitmaps have %d bytes, more than %d", half, maxBitmap)
	}
	if le.Uint32(sub[ksSplit:]) != 0 {
		return nil, malformed("it is one part of a split kdump file: put the parts together first with makedumpfile --reassemble")
	}
	first := (1 + subBlocks) * block
	k := &kdump{
		r: in.r, block: block, frames: min(frames, half*8),
		exists: int64(first), descs: int64(first + mapBlocks*block),
		onlyZeros: le.Uint32(sub[ksLevel:]) == 1,
	}
	c := &contents{format: "kdump", phys: k}
	if !k.readBitmap(int64(first+half), half) {
		c.notes = append(c.notes, "the dump is cut off in its bitmaps")
	}
	notes, err := c.kdumpNotes(in, version, sub)
	if err != nil {
		return nil, err
	}
	machine, _, _ := bytes.Cut(h[kdMachine:kdMachine+65], []byte{0})
	if c.arch = kdumpArch(string(machine), notes, in.opt.Arch); c.arch == nil {
		return nil, malformed("it is a kdump file of a machine (%q) that is not known here", machine)
	}
	var problems []string
	var info vmcoreinfo
	if c.cpus, info, problems = parseNotes(notes, c.arch); info != nil {
		c.info = info
	}
	c.notes = append(c.notes, problems...)
	if le.Uint32(h[kdStatus:])&kdPartial != 0 {
		c.notes = append(c.notes, "the dump was not written to its end, its header says")
	}
	if n := k.pages(); n > 0 {
		var d [kdDesc]byte
		if readAt(in.r, d[:], k.descs+int64(n-1)*kdDesc) != nil {
			c.notes = append(c.notes, "the dump is cut off: some memory is missing")
		} else if off := le.Uint64(d[:]); off > uint64(in.size) || uint64(le.Uint32(d[8:])) > uint64(in.size)-off {
			c.notes = append(c.notes, "the dump is cut off: some memory is missing at its end")
		}
	}
	return c, nil
}

// kdumpArch names the architecture by utsname.machine. makedumpfile leaves it
// empty where it knows nothing of the kernel, and QEMU writes "Unknown" for
// arm64: then the size of the first processor's note tells, or the image.
func kdumpArch(machine string, notes []byte, image *arch.Arch) *arch.Arch {
	const x86Status, arm64Status = 336, 392 // sizes of struct elf_prstatus
	switch machine {
	case "x86_64":
		return arch.X86_64
	case "aarch64":
		return arch.ARM64
	case "", "Unknown":
		a := image
		eachNote(notes, func(n note) bool {
			if n.name == "CORE" && n.typ == ntPRStatus {
				switch len(n.body) {
				case x86Status:
					a = arch.X86_64
				case arm64Status:
					a = arch.ARM64
				}
				return false
			}
			return true
		})
		return a
	}
	return nil
}

// kdumpNotes reads the ELF notes, which are there from version 4 on, and
// VMCOREINFO, from version 3 on.
func (c *contents) kdumpNotes(in input, version uint32, sub []byte) (notes []byte, err error) {
	part := func(at int, what string) ([]byte, error) {
		off, n := binary.LittleEndian.Uint64(sub[at:]), binary.LittleEndian.Uint64(sub[at+8:])
		if n == 0 {
			return nil, nil
		}
		if n > maxNotes {
			return nil, malformed("it is a kdump file whose %s has %d bytes, more than %d", what, n, maxNotes)
		}
		b := make([]byte, n)
		if off > uint64(in.size) || readAt(in.r, b, int64(off)) != nil {
			c.notes = append(c.notes, fmt.Sprintf("the dump is cut off in its %s", what))
			return nil, nil
		}
		return b, nil
	}
	if version >= 4 {
		if notes, err = part(ksNotes, "notes"); err != nil {
			return nil, err
		}
	}
	if version >= 3 {
		if c.info, err = part(ksInfo, "VMCOREINFO"); err != nil {
			return nil, err
		}
	}
	return notes, nil
}
