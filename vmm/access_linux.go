package vmm

import "golang.org/x/sys/unix"

// readByte tries process_vm_readv(2).
func readByte(pid int, addr uint64) bool {
	var b [1]byte
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(1)
	n, err := unix.ProcessVMReadv(pid, []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(addr), Len: 1}}, 0)
	return err == nil && n == 1
}
