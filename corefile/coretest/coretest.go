// Package coretest makes memory dumps in memory, of each format package corefile
// reads, for tests of what reads them.
// It lays the file out by the formats' definitions and shares no code with
// package corefile.
package coretest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// CPU is one processor of a dump.
type CPU struct {
	// X86 are the registers by gdb's names, with cr0, cr2, cr3, cr4 and
	// k_gs_base: what is not named is 0.
	X86 map[string]uint64
	// ARM64 are x0 to x30, sp, pc and cpsr.
	ARM64 map[string]uint64
	// Bits32 says that an x86 processor was not in 64-bit mode.
	Bits32 bool
	// NoQEMUNote leaves QEMU's own note of an x86 processor out.
	NoQEMUNote bool
}

// Segment is a piece of physical memory.
type Segment struct {
	Phys uint64
	Data []byte
	// Mem is the size in the guest if that is more than len(Data).
	Mem uint64
}

// Dump is a machine to dump. Machine is elf.EM_X86_64 or elf.EM_AARCH64.
type Dump struct {
	Machine elf.Machine
	CPUs    []CPU
	Memory  []Segment
	// Notes are appended to the notes as they are.
	Notes []byte
	// virtual: Phys are virtual addresses.
	virtual bool
}

// Bytes returns the file.
func (d Dump) Bytes() []byte {
	notes := d.notes()
	var out bytes.Buffer
	put := func(vs ...any) {
		for _, v := range vs {
			_ = binary.Write(&out, binary.LittleEndian, v) // cannot fail on a buffer
		}
	}
	headers := 1 + len(d.Memory)
	offset := uint64(64 + 56*headers)
	out.WriteString("\x7fELF\x02\x01\x01")
	out.Write(make([]byte, 9))
	put(uint16(elf.ET_CORE), uint16(d.Machine), uint32(1), uint64(0), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(headers), uint16(64), uint16(0), uint16(0))
	header := func(typ elf.ProgType, phys uint64, file, mem uint64) {
		virt := phys
		if d.virtual && typ == elf.PT_LOAD {
			phys = 0
		}
		put(uint32(typ), uint32(0), offset, virt, phys, file, mem, uint64(0))
		offset += file
	}
	header(elf.PT_NOTE, 0, uint64(len(notes)), uint64(len(notes)))
	for _, s := range d.Memory {
		header(elf.PT_LOAD, s.Phys, uint64(len(s.Data)), max(s.Mem, uint64(len(s.Data))))
	}
	out.Write(notes)
	for _, s := range d.Memory {
		out.Write(s.Data)
	}
	return out.Bytes()
}

// notes are the ELF notes of the processors.
func (d Dump) notes() []byte {
	var notes bytes.Buffer
	for i, c := range d.CPUs {
		if d.Machine == elf.EM_AARCH64 {
			note(&notes, "CORE", 1, prstatus(i, names("x", 31, "sp", "pc", "cpsr"), c.ARM64, 392))
			note(&notes, "CORE", 2, make([]byte, 528))
		} else {
			note(&notes, "CORE", 1, prstatus(i, []string{"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx",
				"rdx", "rsi", "rdi", "", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"}, c.X86, 336))
		}
	}
	for _, c := range d.CPUs {
		if d.Machine == elf.EM_X86_64 && !c.NoQEMUNote {
			note(&notes, "QEMU", 0, qemuState(c))
		}
	}
	notes.Write(d.Notes)
	return notes.Bytes()
}

// names returns prefix0 to prefix(n-1) and then more.
func names(prefix string, n int, more ...string) []string {
	var all []string
	for i := range n {
		name := prefix
		if i >= 10 {
			name += string(rune('0' + i/10))
		}
		all = append(all, name+string(rune('0'+i%10)))
	}
	return append(all, more...)
}

func note(w *bytes.Buffer, name string, typ uint32, desc []byte) {
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)+1))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, typ)
	b = append(b, name...)
	b = append(b, make([]byte, 4-len(name)%4)...)
	b = append(b, desc...)
	w.Write(append(b, make([]byte, (4-len(desc)%4)%4)...))
}

// prstatus is a struct elf_prstatus: the pid at 32, the registers at 112.
func prstatus(cpu int, order []string, regs map[string]uint64, size int) []byte {
	b := make([]byte, size)
	binary.LittleEndian.PutUint32(b[32:], uint32(cpu+1))
	for i, name := range order {
		binary.LittleEndian.PutUint64(b[112+8*i:], regs[name])
	}
	return b
}

func qemuState(c CPU) []byte {
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, 440)
	for _, name := range []string{"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags"} {
		b = binary.LittleEndian.AppendUint64(b, c.X86[name])
	}
	for _, name := range []string{"cs", "ds", "es", "fs", "gs", "ss", "ldt", "tr", "gdt", "idt"} {
		flags := uint32(0x00af9b00) // a 64-bit code segment
		if c.Bits32 {
			flags = 0x00cf9b00
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(c.X86[name]))
		b = binary.LittleEndian.AppendUint32(b, 0xffffffff)
		b = binary.LittleEndian.AppendUint32(b, flags)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint64(b, c.X86[name+"_base"])
	}
	for _, name := range []string{"cr0", "cr1", "cr2", "cr3", "cr4", "k_gs_base"} {
		b = binary.LittleEndian.AppendUint64(b, c.X86[name])
	}
	return b
}
