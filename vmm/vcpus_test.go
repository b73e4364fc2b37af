package vmm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// threads gives a made-up process threads and descriptors.
func (f fake) threads(pid int, comms map[int]string, fds map[int]string) {
	f.t.Helper()
	dir := filepath.Join(f.Dir, strconv.Itoa(pid))
	for tid, comm := range comms {
		task := filepath.Join(dir, "task", strconv.Itoa(tid))
		if err := errors.Join(os.MkdirAll(task, 0o755), os.WriteFile(filepath.Join(task, "comm"), []byte(comm+"\n"), 0o644)); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	for fd, to := range fds {
		if err := os.Symlink(to, filepath.Join(dir, "fd", strconv.Itoa(fd))); err != nil {
			f.t.Fatal(err)
		}
	}
}

func TestFindVCPUs(t *testing.T) {
	kvm := map[int]string{0: "/dev/null", 3: "anon_inode:kvm-vm", 9: "anon_inode:kvm-vcpu:0", 12: "anon_inode:kvm-vcpu:1"}
	for _, c := range []struct {
		name  string
		comms map[int]string
		fds   map[int]string
		want  []VCPU
		kvm   bool
	}{
		{"QEMU", map[int]string{10: "qemu-system-x86", 11: "CPU 0/KVM", 12: "CPU 1/KVM", 13: "IO mon_iothread"}, kvm, []VCPU{{11, 0}, {12, 1}}, true},
		{"QEMU, threads without names", map[int]string{10: "qemu-system-x86", 11: "qemu-system-x86"}, kvm, []VCPU{{10, -1}, {11, -1}}, true},
		{"QEMU's emulator", map[int]string{10: "qemu-system-x86", 11: "CPU 0/TCG"}, map[int]string{0: "/dev/null"}, []VCPU{{11, 0}}, false},
		{"Firecracker", map[int]string{20: "firecracker", 21: "fc_api", 23: "fc_vcpu 0", 24: "fc_vcpu 1"}, kvm, []VCPU{{23, 0}, {24, 1}}, true},
		{"Cloud Hypervisor", map[int]string{20: "cloud-hypervis", 21: "vcpu0"}, kvm, []VCPU{{21, 0}}, true},
		{"names that lie", map[int]string{20: "CPU x/KVM", 21: "fc_vcpu -1", 22: "vcpu99999999999999999999"}, kvm, []VCPU{{20, -1}, {21, -1}, {22, -1}}, true},
	} {
		f := newFake(t)
		f.threads(7, c.comms, c.fds)
		v, err := f.proc().FindVCPUs(7)
		if err != nil || !slices.Equal(v.Threads, c.want) || v.KVM != c.kvm || !v.Known {
			t.Errorf("%s: %+v, %v; want %v", c.name, v, err, c.want)
		}
		if c.kvm && v.Count != 2 {
			t.Errorf("%s: %d processors", c.name, v.Count)
		}
	}
	if _, err := newFake(t).proc().FindVCPUs(7); !errors.Is(err, ErrNoProcess) {
		t.Errorf("no process: %v", err)
	}
}
