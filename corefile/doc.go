// Package corefile opens a guest's memory dump as a target: memory, registers
// and system registers of every processor, as they were.
//
//	d, err := corefile.Open("guest.dump")
//	regs, err := d.ReadRegisters(ctx, 0)
//	err = target.ReadFull(ctx, d, buf, regs.SP())
//
// A file is recognised by its first bytes, packed with gzip or zstd or not:
//
//   - ELF cores of machines: QEMU's dump-guest-memory, virsh dump --memory-only
//   - kdump files with pages of zlib, LZO, snappy or zstd, flattened or not
//     (QEMU, virsh, makedumpfile)
//   - xl dump-core, of PV and of HVM and PVH guests
//   - Solo5's ELF cores
//   - ELF cores of processes: guests that run as one, and Nanos's program
//   - Firecracker snapshots: the state file, with Options.Memory
//   - raw RAM: pmemsave, a RAM backend's file; Options.Arch tells of which machine
//
// Memory in most of them is physical; virtual memory is found by walking the
// guest's page tables (package target/mmu) from the root the registers name, or
// VMCOREINFO. Where nothing names one, as in QEMU's arm64 dumps and raw RAM,
// virtual addresses are taken as physical ones, as unikernels map them, until
// UseRoot says otherwise; Notes tells so. PT_LOAD's virtual addresses are not
// believed: QEMU 7.2 writes wrong ones with paging=on.
//
// A plain file is read where it is looked at and may be of any size, sparse, cut
// off, or still being written: what is there is used. A kdump file's pages are
// unpacked one by one, and a bounded number of them is kept. A packed file is
// unpacked into memory, up to MaxUnpacked, without its zero pages.
//
// Specifications: System V ABI, ELF-64; Linux struct elf_prstatus of x86_64 and
// arm64 (NT_PRSTATUS); QEMU target/i386/arch_dump.c (QEMUCPUState, note name
// "QEMU"); makedumpfile IMPLEMENTATION and diskdump_mod.h; Linux
// Documentation/staging/lzo.rst; xen docs/misc/dump-core-format.txt; firecracker
// docs/snapshotting; solo5 tenders/hvt/hvt_module_dumpcore.c; nanos
// src/unix/coredump.c.
package corefile
