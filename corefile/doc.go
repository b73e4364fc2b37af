// Package corefile opens a guest's memory dump as a target: memory, registers
// and system registers of every processor, as they were.
//
//	d, err := corefile.Open("guest.dump")
//	regs, err := d.ReadRegisters(ctx, 0)
//	err = target.ReadFull(ctx, d, buf, regs.SP())
//
// It reads the ELF that QEMU's dump-guest-memory writes without paging (and
// virsh dump --memory-only), plain or compressed with gzip or zstd. Memory in
// it is physical; virtual memory is found by walking the guest's page tables
// (package target/mmu) from the CR3 that QEMU notes. QEMU notes no translation
// registers for arm64: there virtual addresses are taken as physical ones, as
// unikernels map them, until UseRoot says otherwise; Notes tells so.
//
// A plain file is read where it is looked at and may be of any size, sparse or
// cut off: what is there is used. A compressed one is unpacked into memory, up
// to MaxUnpacked, without its zero pages.
//
// Specifications: System V ABI, ELF-64; Linux struct elf_prstatus of x86_64 and
// arm64 (NT_PRSTATUS); QEMU target/i386/arch_dump.c (QEMUCPUState, note name
// "QEMU").
package corefile
