package corefile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ukdbg/ukdbg/target/arch"
)

// A Firecracker snapshot is two files: the guest's memory, its regions one after
// another, and the state, which begins with a magic number and the version of
// its data as a string, followed by what serde and bincode write of the VMM's
// structures, and a CRC64 (firecracker src/vmm/src/snapshot). Those structures
// change with each version. What a debugger wants of them is found by content
// instead: the memory regions, whose sizes add up to the memory file, and the
// structures of KVM's own, which Linux keeps as they are.
const (
	firecrackerX86   = 0x0710_1984_8664_0000
	firecrackerARM64 = 0x0710_1984_aaaa_0000
	// maxState bounds the state file; real ones have some 100 KiB for each vCPU.
	maxState = 256 << 20
)

func isFirecracker(head []byte) bool { return firecrackerArch(head) != nil }

func firecrackerArch(head []byte) *arch.Arch {
	if len(head) < 8 {
		return nil
	}
	switch binary.LittleEndian.Uint64(head) {
	case firecrackerX86:
		return arch.ByMachine(elf.EM_X86_64)
	case firecrackerARM64:
		return arch.ByMachine(elf.EM_AARCH64)
	}
	return nil
}

// readFirecracker reads a state file and the memory file the options name.
func readFirecracker(in input) (*contents, error) {
	a := firecrackerArch(in.head)
	version, ok := firecrackerVersion(in.head)
	if !ok {
		return nil, malformed("it is a Firecracker state file of an unknown version")
	}
	if in.opt.Memory == "" {
		return nil, malformed("it is the state file of a Firecracker snapshot (data version %s): give its memory file too, with --memory FILE", version)
	}
	if in.size > maxState {
		return nil, malformed("it is a Firecracker state file of %d bytes, more than %d", in.size, maxState)
	}
	state := make([]byte, in.size)
	if err := readAt(in.r, state, 0); err != nil && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%w: %w", errIO, err)
	}
	mem, size, err := in.open(in.opt.Memory)
	if err != nil {
		return nil, fmt.Errorf("the memory file: %w", err)
	}
	c := &contents{format: "Firecracker snapshot, data version " + version, arch: a}
	segments, found := firecrackerRegions(state, uint64(size))
	if !found {
		// The layout every release has: see layouts.
		segments = firecrackerLayout(a, uint64(size))
		c.notes = append(c.notes, "the state file's list of memory regions was not found: they are taken to lie as this VMM lays them out")
	}
	c.phys = &pieces{r: mem, all: untangle(segments), hole: noMemory}
	if a.Machine == elf.EM_AARCH64 {
		c.cpus = kvmARM64s(state, a)
	} else {
		c.cpus = kvmX86(state, a)
	}
	if len(c.cpus) == 0 {
		c.notes = append(c.notes, "no vCPU's registers were found in the state file: versions after 1.14 may write them in another encoding; --log FILE can give those of a fault screen")
	}
	return c, nil
}

// firecrackerVersion reads the version string behind the magic number: a length
// of 64 bits and text.
func firecrackerVersion(head []byte) (string, bool) {
	if len(head) < 16 {
		return "", false
	}
	n := binary.LittleEndian.Uint64(head[8:])
	if n == 0 || n > 32 || 16+n > uint64(len(head)) {
		return "", false
	}
	text := head[16 : 16+n]
	for _, c := range text {
		if c < ' ' || c > '~' {
			return "", false
		}
	}
	return string(text), true
}

// firecrackerRegions finds the list of memory regions: a count, and for each a
// base address and a size, whose sizes add up to the memory file's.
func firecrackerRegions(state []byte, total uint64) ([]segment, bool) {
	const most = 16
	for at := 0; at+24 <= len(state); at++ {
		n := binary.LittleEndian.Uint64(state[at:])
		if n == 0 || n > most {
			continue
		}
		for _, form := range []regionForm{plainRegion, offsetRegion, typedRegion} {
			if all, ok := regionList(state[at+8:], int(n), total, form); ok {
				return all, true
			}
		}
	}
	return nil, false
}

// regionForm is how a release writes a region after its base and size.
type regionForm int

const (
	plainRegion  regionForm = iota
	offsetRegion            // the offset in the memory file
	typedRegion             // a kind of 32 bits, and a list of flags for its slots
)

// regionList reads n regions of a form; ok reports whether they are regions.
func regionList(b []byte, n int, total uint64, form regionForm) (all []segment, ok bool) {
	const page = 4096
	le := binary.LittleEndian
	offset, end := uint64(0), uint64(0)
	for range n {
		if len(b) < 16 {
			return nil, false
		}
		base, size := le.Uint64(b), le.Uint64(b[8:])
		b = b[16:]
		if size == 0 || size%page != 0 || base%page != 0 || base < end || size > total-offset || base+size < base {
			return nil, false
		}
		switch form {
		case offsetRegion:
			if len(b) < 8 || le.Uint64(b) != offset {
				return nil, false
			}
			b = b[8:]
		case typedRegion:
			if len(b) < 12 || le.Uint32(b) > 8 || le.Uint64(b[4:]) > uint64(len(b)-12) {
				return nil, false
			}
			b = b[12+le.Uint64(b[4:]):]
		}
		all = append(all, segment{addr: base, size: size, mem: size, offset: int64(offset)})
		offset += size
		end = base + size
	}
	return all, offset == total
}

// firecrackerLayout is where the regions lie by the VMM's rules.
func firecrackerLayout(a *arch.Arch, size uint64) []segment {
	if a.Machine == elf.EM_AARCH64 {
		return []segment{{addr: 2 * gib, size: size, mem: size}}
	}
	l := layouts()["firecracker"]
	if size <= l.most {
		return []segment{{size: size, mem: size}}
	}
	return []segment{{size: l.low, mem: l.low}, {addr: 4 * gib, size: size - l.low, mem: size - l.low, offset: int64(l.low)}}
}
