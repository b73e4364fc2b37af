package corefile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// The sections of a Xen core (xen docs/misc/dump-core-format.txt).
const (
	xenNotes  = ".note.Xen"
	xenCPUs   = ".xen_prstatus"
	xenPages  = ".xen_pages"
	xenFrames = ".xen_pfn" // u64 pfn, of a guest with its own page tables
	xenP2M    = ".xen_p2m" // u64 pfn and u64 gmfn, of a paravirtual one
)

// What the header note says: type, magic of each kind of domain, and the frame
// number that stands for none.
const (
	xenHeaderNote = 0x2000001
	xenPV         = 0xf00febed
	xenHVM        = 0xf00febee
	xenNoFrame    = ^uint64(0)
)

// readXen reads what "xl dump-core" writes: sections and no segments.
func readXen(in input, a *arch.Arch, sections map[string]section) (*contents, error) {
	c := &contents{format: "Xen core", arch: a}
	var header []byte
	notes := sections[xenNotes]
	if notes.size > maxNotes {
		return nil, malformed("it is a Xen core whose notes have %d bytes, more than %d", notes.size, maxNotes)
	}
	text := make([]byte, notes.size)
	if err := readAt(in.r, text, notes.offset); err != nil {
		return nil, malformed("it is a Xen core without readable notes")
	}
	eachNote(text, func(n note) bool {
		if n.name == "Xen" && n.typ == xenHeaderNote {
			header = n.body
		}
		return header == nil
	})
	if len(header) < 32 {
		return nil, malformed("it is a Xen core without its header note")
	}
	le := binary.LittleEndian
	magic, cpus, pages, size := le.Uint64(header), le.Uint64(header[8:]), le.Uint64(header[16:]), le.Uint64(header[24:])
	if magic != xenPV && magic != xenHVM || size < 4<<10 || size > 64<<10 || size&(size-1) != 0 {
		return nil, malformed("it is a Xen core of an unknown kind (magic %#x, pages of %d bytes)", magic, size)
	}
	data := sections[xenPages]
	if have := uint64(in.size - data.offset); data.size > have {
		c.notes = append(c.notes, "the dump is cut off: some memory is missing at its end")
	}
	m := &xenMemory{pieces: pieces{r: in.r, hole: noMemory}, at: data.offset, page: size}
	pv := magic == xenPV
	var err error
	if pv {
		c.format = "Xen core of a PV guest"
		machine := &xenMemory{pieces: pieces{r: in.r, hole: noMemory}, at: data.offset, page: size}
		err = m.frames(in, sections[xenP2M], pages, 16, 0)
		if err == nil {
			err = machine.frames(in, sections[xenP2M], pages, 16, 8)
		}
		c.walk = machine
	} else {
		c.format = "Xen core of an HVM or PVH guest"
		err = m.frames(in, sections[xenFrames], pages, 8, 0)
	}
	if err != nil {
		return nil, err
	}
	c.phys = m
	if err := c.xenCPUs(in, sections[xenCPUs], cpus, pv); err != nil {
		return nil, err
	}
	return c, nil
}

// xenMemory is memory by frame numbers: piece i of the file is the frame the
// table's entry i names.
type xenMemory struct {
	pieces
	at   int64  // offset of the pages
	page uint64 // bytes of one
}

// maxRuns bounds the index of frames: runs of frames that follow one another.
const maxRuns = 1 << 20

// frames indexes a table of entries of the given size with a frame number at the
// given place in each.
func (m *xenMemory) frames(in input, table section, pages, entry, place uint64) error {
	n := min(pages, table.size/entry)
	if n == 0 {
		return malformed("it is a Xen core without a table of its pages")
	}
	if n > uint64(in.size)/entry {
		return malformed("it is a Xen core cut off in the table of its pages")
	}
	const step = 4096
	buf := make([]byte, step*entry)
	for i := uint64(0); i < n; {
		part := buf[:min(step, n-i)*entry]
		if err := readAt(in.r, part, table.offset+int64(i*entry)); err != nil {
			return malformed("it is a Xen core cut off in the table of its pages")
		}
		for ; len(part) > 0; part = part[entry:] {
			if err := m.add(binary.LittleEndian.Uint64(part[place:]), i); err != nil {
				return err
			}
			i++
		}
	}
	m.all = untangle(m.all)
	return nil
}

// add says that page i of the file is a frame.
func (m *xenMemory) add(frame, i uint64) error {
	if frame == xenNoFrame || frame > ^uint64(0)/m.page {
		return nil
	}
	addr, offset := frame*m.page, m.at+int64(i*m.page)
	if k := len(m.all) - 1; k >= 0 && m.all[k].addr+m.all[k].size == addr && m.all[k].offset+int64(m.all[k].size) == offset {
		m.all[k].size += m.page
		m.all[k].mem += m.page
		return nil
	}
	if len(m.all) == maxRuns {
		return malformed("it is a Xen core whose pages lie in more than %d runs", maxRuns)
	}
	m.all = append(m.all, segment{addr: addr, size: m.page, mem: m.page, offset: offset})
	return nil
}

// Offsets in struct vcpu_guest_context of x86_64 (xen
// include/public/arch-x86/xen.h and xen-x86_64.h) and its size.
const (
	xcFlags      = 512
	xcUser       = 520
	xcControl    = 4984
	xcFSBase     = 5144
	xcKernelGS   = 5152
	xcUserGS     = 5160
	xcSize       = 5168
	xenLongSlots = 15
	xenInKernel  = 1 << 2 // VGCF_in_kernel
)

// xenUser lists the DWARF numbers of the first registers of struct
// cpu_user_regs, in its order; after them come error code and vector.
var xenUser = [xenLongSlots]int{arch.X86R15, arch.X86R14, arch.X86R13, arch.X86R12, arch.X86RBP, arch.X86RBX, 11, 10, 9, arch.X86R8,
	arch.X86RAX, arch.X86RCX, arch.X86RDX, arch.X86RSI, arch.X86RDI}

// xenUserRest has what follows them: offset in the structure and DWARF number.
var xenUserRest = [][2]int{{128, arch.X86RIP}, {144, arch.X86RFLAGS}, {152, arch.X86RSP}}

// xenUserSelectors has the selectors, 16 bits each.
var xenUserSelectors = [][2]int{{136, arch.X86CS}, {160, arch.X86SS}, {168, 50}, {176, 53}, {184, 54}, {192, 55}}

// xenCPUs reads the processors' states.
func (c *contents) xenCPUs(in input, s section, n uint64, pv bool) error {
	if c.arch.Machine != elf.EM_X86_64 {
		c.notes = append(c.notes, fmt.Sprintf("registers of a Xen core of %s are not read", c.arch.Name))
		return nil
	}
	if n > maxCPUs || s.entry != 0 && s.entry != xcSize || s.size < n*xcSize {
		c.notes = append(c.notes, fmt.Sprintf("its registers are not read: %d processors in %d bytes, %d each", n, s.size, s.entry))
		return nil
	}
	b := make([]byte, xcSize)
	for i := range n {
		if err := readAt(in.r, b, s.offset+int64(i*xcSize)); err != nil {
			c.notes = append(c.notes, "the dump is cut off in its registers")
			return nil
		}
		c.cpus = append(c.cpus, xenCPU(b, c.arch, pv))
	}
	return nil
}

func xenCPU(b []byte, a *arch.Arch, pv bool) cpuState {
	le := binary.LittleEndian
	user := b[xcUser:]
	regs := target.NewRegs(a)
	for i, num := range xenUser {
		regs.Set(num, le.Uint64(user[8*i:]))
	}
	for _, r := range xenUserRest {
		regs.Set(r[1], le.Uint64(user[r[0]:]))
	}
	for _, r := range xenUserSelectors {
		regs.Set(r[1], uint64(le.Uint16(user[r[0]:])))
	}
	// The base in use, and the one SWAPGS brings back.
	gs, swapped := le.Uint64(b[xcUserGS:]), le.Uint64(b[xcKernelGS:])
	cs, _ := regs.Get(arch.X86CS)
	if kernel := cs&3 == 0; pv && le.Uint64(b[xcFlags:])&xenInKernel != 0 || !pv && kernel {
		gs, swapped = swapped, gs
	}
	regs.Set(arch.X86GSBase, gs)
	regs.Set(arch.X86FSBase, le.Uint64(b[xcFSBase:]))
	c := cpuState{regs: regs, long: true, sys: map[string]uint64{"k_gs_base": swapped}}
	for i, name := range []string{"cr0", "", "cr2", "cr3", "cr4"} {
		if name != "" {
			c.sys[name] = le.Uint64(b[xcControl+8*i:])
		}
	}
	if pv {
		c.sys["cr0"] |= mmu.CR0PG // it cannot be off, and is not noted by all releases
	}
	return c
}
