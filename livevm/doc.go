// Package livevm is a running VM observed from its host without stopping it: the
// targets qmp:PATH and pid:N.
//
// Memory is read in place in the VMM's process (guestram), virtual addresses are
// translated here (target/mmu). Registers come from the monitor's "info
// registers", which is no stop of the VM; under KVM it makes each vCPU leave the
// guest once, which is counted. Nothing is written, no monitor is held between
// two reads, and no command that stops or changes the guest is ever sent.
//
// Where the monitor does not tell the page tables (arm64, or no monitor at all),
// they are those the image names, believed only if they map the image's own
// bytes to where these were found; else virtual addresses are physical ones,
// which the same bytes must show.
//
// What is read at two moments may not fit together: the guest runs. Forget
// starts a new moment; whoever walks a structure checks it (package ukdbg does).
//
// Typical use:
//
//	m, err := livevm.OpenMonitor(ctx, qmp.Monitor{Path: path}, livevm.Options{Image: img})
//	defer m.Close()
//	n, err := m.ReadMemory(ctx, buf, address)
//	regs, err := m.ReadRegisters(ctx, 0)
//
// Specification: QEMU's info registers (target/i386/cpu-dump.c,
// target/arm/cpu.c) and info status.
package livevm
