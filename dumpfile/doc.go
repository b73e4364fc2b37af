// Package dumpfile writes a guest's memory dump: an ELF core file as QEMU's
// dump-guest-memory makes, which gdb and package corefile open.
//
//	d := dumpfile.Dump{Arch: a, CPUs: cpus, Extents: extents, Info: info}
//	n, err := d.Write(ctx, w, func(ctx context.Context, p []byte, phys uint64) error { … })
//
// The notes are a "CORE" NT_PRSTATUS for each processor, QEMU's own with the
// control registers of x86, and one named "UKDBG", type 1: Info as JSON, which
// says what the others cannot: whether the dump is of one instant, what was left
// out, where the page tables are, and the system registers of arm64.
//
// Memory is told by physical address. Each piece has the virtual address it is
// mapped at; one that is mapped twice has two program headers for the same bytes.
// What is mapped nowhere is put at its physical address if that is free, else at
// Unmapped plus its physical address.
//
// Specification: System V ABI, ELF-64 (PN_XNUM for 65,535 headers and more);
// Linux struct elf_prstatus of x86_64 and arm64; QEMU target/i386/arch_dump.c
// (QEMUCPUState, version 1). docs/dump.md tells the UKDBG note.
package dumpfile
