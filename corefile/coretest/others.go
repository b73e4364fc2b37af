package coretest

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"hash/crc64"
	"slices"
	"strconv"
)

// Solo5 returns the dump as hvt writes it: one processor, one segment from 0, and
// ELFOSABI_STANDALONE.
func (d Dump) Solo5() []byte {
	d.CPUs = d.CPUs[:1]
	d.CPUs[0].NoQEMUNote = true
	b := d.Bytes()
	b[elf.EI_OSABI] = 0xff
	return b
}

// FileMapping is an entry of a process's NT_FILE note.
type FileMapping struct {
	Start, End uint64
	Name       string
}

// Process returns the dump as the core of a process whose virtual memory is
// Memory and whose threads are CPUs; entry is that of its program.
func (d Dump) Process(osabi byte, entry uint64, files []FileMapping) []byte {
	var notes bytes.Buffer
	note(&notes, "CORE", 3, make([]byte, 136))
	var auxv []byte
	for _, v := range []uint64{3, 0x400040, 9, entry, 0, 0} {
		auxv = binary.LittleEndian.AppendUint64(auxv, v)
	}
	note(&notes, "CORE", 6, auxv)
	if files != nil {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(files)))
		b = binary.LittleEndian.AppendUint64(b, 4096)
		for _, f := range files {
			b = binary.LittleEndian.AppendUint64(b, f.Start)
			b = binary.LittleEndian.AppendUint64(b, f.End)
			b = binary.LittleEndian.AppendUint64(b, 0)
		}
		for _, f := range files {
			b = append(append(b, f.Name...), 0)
		}
		note(&notes, "CORE", 0x46494c45, b)
	}
	d.Notes = append(notes.Bytes(), d.Notes...)
	d.virtual = true
	for i := range d.CPUs {
		d.CPUs[i].NoQEMUNote = true
	}
	b := d.Bytes()
	b[elf.EI_OSABI] = osabi
	return b
}

// XenOptions say how an xl dump-core file is written.
type XenOptions struct {
	// PV: of a paravirtual guest, whose frames Machine maps to machine frames.
	PV      bool
	Machine func(pfn uint64) uint64
}

// Xen returns the dump as xl dump-core writes it. Memory is in whole pages.
func (d Dump) Xen(opt XenOptions) []byte {
	const page = 4096
	le := binary.LittleEndian
	var frames, pages []byte
	count := 0
	for _, s := range d.Memory {
		for off := 0; off < len(s.Data); off += page {
			pfn := (s.Phys + uint64(off)) / page
			frames = le.AppendUint64(frames, pfn)
			if opt.PV {
				frames = le.AppendUint64(frames, opt.Machine(pfn))
			}
			pages = append(pages, s.Data[off:off+page]...)
			count++
		}
	}
	var status []byte
	for _, c := range d.CPUs {
		status = append(status, xenContext(c, opt.PV)...)
	}
	var notes bytes.Buffer
	note(&notes, "Xen", 0x2000000, nil)
	header := le.AppendUint64(nil, 0xf00febee)
	if opt.PV {
		le.PutUint64(header, 0xf00febed)
	}
	header = le.AppendUint64(header, uint64(len(d.CPUs)))
	header = le.AppendUint64(header, uint64(count))
	header = le.AppendUint64(header, page)
	note(&notes, "Xen", 0x2000001, header)
	note(&notes, "Xen", 0x2000003, le.AppendUint64(nil, 1))

	table := ".xen_pfn"
	if opt.PV {
		table = ".xen_p2m"
	}
	names := "\x00"
	type section struct {
		name        string
		data        []byte
		entry, kind uint64
	}
	all := []section{
		{"", nil, 0, 0}, {".shstrtab", nil, 0, 3}, {".note.Xen", notes.Bytes(), 0, 7}, {".xen_prstatus", status, 5168, 1},
		{table, frames, 8, 1}, {".xen_pages", pages, page, 1},
	}
	for _, s := range all {
		names += s.name + "\x00"
	}
	all[1].data = []byte(names)
	var out bytes.Buffer
	put := func(vs ...any) {
		for _, v := range vs {
			_ = binary.Write(&out, le, v) // cannot fail on a buffer
		}
	}
	out.WriteString("\x7fELF\x02\x01\x01")
	out.Write(make([]byte, 9))
	put(uint16(elf.ET_CORE), uint16(d.Machine), uint32(1), uint64(0), uint64(0), uint64(64), uint32(0),
		uint16(64), uint16(0), uint16(0), uint16(64), uint16(len(all)), uint16(1))
	at, name := uint64(64+64*len(all)), 1
	for _, s := range all {
		put(uint32(name), uint32(s.kind), uint64(0), uint64(0), at, uint64(len(s.data)), uint32(0), uint32(0), uint64(8), s.entry)
		at += uint64(len(s.data))
		name += len(s.name) + 1
	}
	for _, s := range all {
		out.Write(s.data)
	}
	return out.Bytes()
}

// xenContext is a struct vcpu_guest_context of x86_64.
func xenContext(c CPU, pv bool) []byte {
	b := make([]byte, 5168)
	put := func(at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
	const user, control = 520, 4984
	put(512, 4) // in the kernel
	for i, name := range []string{"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"} {
		put(user+8*i, c.X86[name])
	}
	for at, name := range map[int]string{128: "rip", 136: "cs", 144: "eflags", 152: "rsp", 160: "ss", 168: "es", 176: "ds", 184: "fs", 192: "gs"} {
		put(user+at, c.X86[name])
	}
	for i, name := range []string{"cr0", "", "cr2", "cr3", "cr4"} {
		put(control+8*i, c.X86[name])
	}
	if pv {
		put(control, 0)
	}
	put(5144, c.X86["fs_base"])
	put(5152, c.X86["gs_base"])
	put(5160, c.X86["k_gs_base"])
	return b
}

// FirecrackerOptions say how a release writes its state.
type FirecrackerOptions struct {
	// Bare writes KVM's structures without their lengths, as releases before 1.8
	// did.
	Bare bool
	// Region is how a memory region is written after base and size: 0 for
	// nothing more, 1 with its offset, 2 with its kind and slots.
	Region int
}

// Firecracker returns the two files of a snapshot: state and memory.
func (d Dump) Firecracker(opt FirecrackerOptions) (state, memory []byte) {
	le := binary.LittleEndian
	magic := uint64(0x0710198486640000)
	if d.Machine == elf.EM_AARCH64 {
		magic = 0x07101984aaaa0000
	}
	state = le.AppendUint64(nil, magic)
	state = le.AppendUint64(state, 5)
	state = append(state, "8.0.0"...)
	state = le.AppendUint64(state, 1024)         // memory size in MiB
	state = append(state, 0, 1, 0, 0, 0)         // more of the machine
	state = le.AppendUint64(state, uint64(9))    // a string
	state = append(state, "/vmlinux\x00"...)     //
	state = le.AppendUint64(state, uint64(0x77)) // and a number
	d.Memory = slices.SortedFunc(slices.Values(d.Memory), func(a, b Segment) int { return cmp.Compare(a.Phys, b.Phys) })
	regions := le.AppendUint64(nil, uint64(len(d.Memory)))
	for _, s := range d.Memory {
		regions = le.AppendUint64(regions, s.Phys)
		regions = le.AppendUint64(regions, uint64(len(s.Data)))
		switch opt.Region {
		case 1:
			regions = le.AppendUint64(regions, uint64(len(memory)))
		case 2:
			regions = le.AppendUint32(regions, 0)
			regions = le.AppendUint64(regions, 1)
			regions = append(regions, 1)
		}
		memory = append(memory, s.Data...)
	}
	state = append(state, regions...)
	state = append(state, make([]byte, 333)...)
	state = le.AppendUint64(state, uint64(len(d.CPUs)))
	for _, c := range d.CPUs {
		state = append(state, bytes.Repeat([]byte{0x40, 1, 2}, 117)...) // CPUID and MSRs
		if d.Machine == elf.EM_AARCH64 {
			state = append(state, kvmARM64(c)...)
		} else {
			state = append(state, kvmX86(c, opt.Bare)...)
		}
		state = append(state, bytes.Repeat([]byte{0xff, 0x40, 2}, 91)...) // events and XSAVE
	}
	sum := crc64.Checksum(state, crc64.MakeTable(crc64.ECMA))
	return le.AppendUint64(state, sum), memory
}

// kvmX86 is a struct kvm_regs and a struct kvm_sregs.
func kvmX86(c CPU, bare bool) []byte {
	le := binary.LittleEndian
	var regs, sregs []byte
	for _, name := range []string{"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags"} {
		v := c.X86[name]
		if name == "eflags" {
			v |= 2
		}
		regs = le.AppendUint64(regs, v)
	}
	paging := c.X86["cr0"]>>31 != 0
	for _, name := range []string{"cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"} {
		sregs = le.AppendUint64(sregs, c.X86[name+"_base"])
		sregs = le.AppendUint32(sregs, 0xffffffff)
		sregs = le.AppendUint16(sregs, uint16(c.X86[name]))
		long := byte(0)
		if name == "cs" && !c.Bits32 && paging {
			long = 1
		}
		sregs = append(sregs, 0xb, 1, 0, 1-long, 1, long, 1, 0, 0, 0)
	}
	sregs = append(sregs, make([]byte, 32)...) // gdt, idt
	efer := uint64(0)
	if paging {
		efer = 0xd00
	}
	for _, v := range []uint64{c.X86["cr0"] | 1<<4, c.X86["cr2"], c.X86["cr3"], c.X86["cr4"], 0, efer, 0xfee00900} {
		sregs = le.AppendUint64(sregs, v)
	}
	sregs = append(sregs, make([]byte, 32)...)
	if bare {
		return append(regs, sregs...)
	}
	out := append(le.AppendUint64(nil, uint64(len(regs))), regs...)
	return append(le.AppendUint64(out, uint64(len(sregs))), sregs...)
}

// kvmARM64 is a list of register numbers and one of their values.
func kvmARM64(c CPU) []byte {
	le := binary.LittleEndian
	var ids, values []byte
	add := func(id, v uint64) {
		ids = le.AppendUint64(ids, id)
		values = le.AppendUint64(values, v)
	}
	const core, system = 0x6030000000100000, 0x6030000000130000
	for i := range uint64(31) {
		add(core|2*i, c.ARM64["x"+strconv.Itoa(int(i))])
	}
	// The mode's lowest bit says which of SP_EL0 and SP_EL1 is in use.
	sp := [2]uint64{0xdead, 0xdead}
	sp[c.ARM64["cpsr"]&1] = c.ARM64["sp"]
	add(core|62, sp[0])
	add(core|64, c.ARM64["pc"])
	add(core|66, c.ARM64["cpsr"])
	add(core|68, sp[1])
	ids = le.AppendUint64(ids, 0x60400000001000a8) // a vector register
	values = append(values, make([]byte, 16)...)
	for _, r := range []struct {
		id   uint64
		name string
	}{{0xc080, "SCTLR_EL1"}, {0xc100, "TTBR0_EL1"}, {0xc101, "TTBR1_EL1"}, {0xc102, "TCR_EL1"}} {
		add(system|r.id, c.ARM64[r.name])
	}
	out := le.AppendUint64(nil, uint64(len(ids)/8))
	out = append(out, ids...)
	out = le.AppendUint64(out, uint64(len(values)))
	return append(out, values...)
}
