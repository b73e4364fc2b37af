// Package vmm finds the virtual machine monitors of this host, QEMU and
// Firecracker, in /proc, and reads from their command lines what guest each
// runs and by what ways it can be reached. Nothing is connected to and no
// process is touched.
//
//	list, err := vmm.Host.List(ctx)
//	p, err := vmm.Host.ByPID(4711)
//	owners, err := vmm.Host.ByListener("unix:/run/vm.qmp")
//
// A command line is whatever its owner made it: it is read with limits, and what
// is not understood is left out. What this user may not see of another's process
// is told in Process.Unseen, never guessed.
//
// QEMU's options are those of qemu(1), its QemuOpts syntax that of
// util/qemu-option.c (a comma in a value is doubled); Firecracker's those of
// its docs and of its jailer.
package vmm
