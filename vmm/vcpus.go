package vmm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// VCPUs are the threads of a VMM that run its guest's processors.
type VCPUs struct {
	// KVM says whether the host's processor runs the guest itself: KVM's descriptors
	// of virtual processors are there. Known is false where this user may not see
	// them.
	KVM, Known bool
	// Count is how many of those there are, 0 if that is not known.
	Count int
	// Threads are the threads by the names VMMs give them or, where these tell
	// nothing (QEMU without -name debug-threads=on), all of the process with CPU -1.
	Threads []VCPU
}

// VCPU is a thread and the number of its virtual processor.
type VCPU struct{ TID, CPU int }

// maxTasks bounds the threads of one process looked at.
const maxTasks = 4096

// FindVCPUs finds the threads that run a guest's processors.
func FindVCPUs(pid int) (VCPUs, error) { return Host.FindVCPUs(pid) }

// FindVCPUs finds the threads that run a guest's processors.
func (r Proc) FindVCPUs(pid int) (VCPUs, error) {
	var v VCPUs
	d, err := os.Open(r.path(pid, "task"))
	if err != nil {
		return v, fmt.Errorf("threads of process %d: %w", pid, noProcess(err))
	}
	defer d.Close()
	names, err := d.Readdirnames(maxTasks)
	if len(names) == 0 && err != nil {
		return v, fmt.Errorf("threads of process %d: %w", pid, noProcess(err))
	}
	var all []VCPU
	for _, tid := range numbers(names) {
		comm, err := r.read(pid, "task/"+strconv.Itoa(tid)+"/comm", maxStatus)
		if err != nil {
			continue // it has ended
		}
		all = append(all, VCPU{tid, -1})
		if cpu, ok := vcpuName(strings.TrimSuffix(string(comm), "\n")); ok {
			v.Threads = append(v.Threads, VCPU{tid, cpu})
		}
	}
	if len(v.Threads) == 0 {
		v.Threads = all
	}
	v.KVM, v.Count, v.Known = r.kvm(pid)
	return v, nil
}

// vcpuName takes the number from a thread's name: "CPU 0/KVM" of QEMU, "fc_vcpu 0"
// of Firecracker, "vcpu0" of Cloud Hypervisor, "crosvm_vcpu0".
func vcpuName(comm string) (cpu int, ok bool) {
	rest, ok := strings.CutPrefix(comm, "CPU ")
	if ok {
		rest, _, ok = strings.Cut(rest, "/")
	}
	for _, prefix := range []string{"fc_vcpu ", "vcpu", "crosvm_vcpu"} {
		if !ok {
			rest, ok = strings.CutPrefix(comm, prefix)
		}
	}
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(rest, 10, 16)
	return int(n), err == nil
}

// kvm looks for KVM's descriptors of virtual processors ("anon_inode:kvm-vcpu:0",
// before Linux 5.1 without the number).
func (r Proc) kvm(pid int) (is bool, count int, known bool) {
	d, err := os.Open(r.path(pid, "fd"))
	if err != nil {
		return false, 0, false
	}
	defer d.Close()
	names, err := d.Readdirnames(maxFDs)
	if len(names) == 0 && err != nil {
		return false, 0, false
	}
	for _, name := range names {
		to, err := os.Readlink(r.path(pid, "fd/"+name))
		if errors.Is(err, fs.ErrPermission) {
			return false, 0, false
		}
		if strings.HasPrefix(to, "anon_inode:kvm-vcpu") {
			count++
		}
	}
	return count > 0, count, true
}
