//go:build linux

package livevm

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guestram"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// patience bounds one wait on a loaded machine.
const patience = 2 * time.Minute

// imageOf makes of NAME.dbg what recognises it.
func imageOf(t *testing.T, path string) *Image {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img := &Image{Arch: arch.ByMachine(f.Machine), Relocatable: f.Type == elf.ET_DYN}
	text := f.Section(".text")
	b, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; off+4096 <= len(b) && len(img.Probes) < 8; off += 4096 {
		img.Probes = append(img.Probes, guestram.Probe{Addr: text.Addr + uint64(off) + 64, Bytes: b[off+64 : off+128]})
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if s.Name == "boot_pml4" || s.Name == "boot_l1" {
			img.Tables = append(img.Tables, s.Value)
		}
	}
	return img
}

// served is how many requests the guest says it has served.
func served(vm *guesttest.VM) int {
	console := vm.Console()
	if i := strings.LastIndex(console, " ms, "); i >= 0 {
		n, _ := strconv.Atoi(strings.Fields(console[i+5:])[0])
		return n
	}
	return 0
}

func stops(vm *guesttest.VM) (n int) {
	for _, e := range vm.Events() {
		if e.Name == "STOP" {
			n++
		}
	}
	return n
}

func status(t *testing.T, pid int, name string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// TestObserve reads all of a running guest's memory and its registers, on every
// kind of backing, and compares them with what QEMU itself says of the guest when
// it stands still. Nothing we do stops it or brings its memory into being.
func TestObserve(t *testing.T) {
	for _, c := range []struct {
		name, image, accel string
		smp                int
		args               func(dir string) []string
	}{
		{"x86 anonymous", "ukguest-x86_64", "", 1, func(string) []string { return nil }},
		{"x86 memfd, two CPUs", "ukguest-x86_64", "", 2, func(string) []string {
			return []string{"-object", "memory-backend-memfd,id=m,size=64M,share=on", "-machine", "memory-backend=m"}
		}},
		{"x86 file under KVM", "ukguest-x86_64", "kvm", 1, func(dir string) []string {
			return []string{"-object", "memory-backend-file,id=m,size=64M,share=on,mem-path=" + filepath.Join(dir, "ram"), "-machine", "memory-backend=m"}
		}},
		{"x86 private file", "ukguest-x86_64", "", 1, func(dir string) []string {
			return []string{"-object", "memory-backend-file,id=m,size=64M,share=off,mem-path=" + filepath.Join(dir, "ram"), "-machine", "memory-backend=m"}
		}},
		{"arm64 anonymous, two CPUs", "ukguest-arm64", "", 2, func(string) []string { return nil }},
		{"arm64 memfd, slide", "ukguest-arm64-pie", "", 1, func(string) []string {
			return []string{"-object", "memory-backend-memfd,id=m,size=64M,share=on", "-machine", "memory-backend=m"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			vm := guesttest.Start(t, guesttest.Options{Image: c.image, SMP: c.smp, Accel: c.accel, QMP: true, Args: c.args(dir)})
			vm.WaitConsole(t, "requests served", patience)
			img := imageOf(t, vm.Debug)
			m, err := OpenMonitor(t.Context(), qmp.Monitor{Path: vm.QMPPath}, Options{Image: img})
			// A KVM that emulates keeps QEMU's lock, now and then for a second.
			for end := time.Now().Add(patience); c.accel == "kvm" && errors.Is(err, qmp.ErrHung) && time.Now().Before(end); {
				m, err = OpenMonitor(t.Context(), qmp.Monitor{Path: vm.QMPPath}, Options{Image: img})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if m.PID() != vm.Pid() || m.Status() != "running" {
				t.Errorf("process %d, want %d; it is %q", m.PID(), vm.Pid(), m.Status())
			}
			cpus, err := m.CPUs(t.Context())
			if err != nil || len(cpus) != c.smp {
				t.Errorf("CPUs %v, %v", cpus, err)
			}
			shmem, anon, before := status(t, vm.Pid(), "RssShmem"), status(t, vm.Pid(), "RssAnon"), served(vm)
			for range 5 {
				readAll(t, m)
				m.Forget()
				for _, cpu := range cpus {
					if r, err := m.ReadRegisters(t.Context(), cpu); err != nil || r.PC() == 0 || r.SP() == 0 {
						t.Fatalf("CPU %d: %+v, %v", cpu, r, err)
					}
				}
			}
			if n := stops(vm); n != 0 {
				t.Errorf("the guest was stopped %d times", n)
			}
			// The guest takes memory of its own while it runs; a reader that made
			// pages of holes would add all of the 64 MiB.
			if now := status(t, vm.Pid(), "RssShmem"); now > shmem+1024 {
				t.Errorf("RssShmem grew from %d to %d KiB", shmem, now)
			}
			if now := status(t, vm.Pid(), "RssAnon"); now > anon+1024+512 {
				t.Errorf("RssAnon grew from %d to %d KiB", anon, now)
			}
			for end := time.Now().Add(patience); served(vm) <= before && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
			if served(vm) <= before {
				t.Errorf("%d requests served before and after", before)
			}
			if used := m.Used(); used.RegisterReads != 6 {
				t.Errorf("registers were read %d times, want 6", used.RegisterReads)
			}
			compareStill(t, vm, m, img)
		})
	}
}

// readAll reads every page of guest RAM and returns what is there.
func readAll(t *testing.T, m *Machine) map[uint64][]byte {
	t.Helper()
	pages := map[uint64][]byte{}
	for _, g := range m.ram.Regions() {
		if g.Size < 1<<20 {
			continue // ROMs
		}
		var ranges []target.Range
		buf := make([]byte, g.Size)
		for off := uint64(0); off < g.Size; off += 4096 {
			ranges = append(ranges, target.Range{Addr: g.Phys + off, Data: buf[off : off+4096]})
		}
		if err := m.ram.ReadMany(t.Context(), ranges); err != nil {
			t.Fatal(err)
		}
		for _, r := range ranges {
			var f *target.FaultError
			switch {
			case r.N == len(r.Data):
				pages[r.Addr] = r.Data
			case !errors.As(r.Err, &f) || !strings.HasPrefix(f.Why, "not resident"):
				t.Fatalf("%#x: %d bytes, %v", r.Addr, r.N, r.Err)
			}
		}
	}
	return pages
}

// compareStill stops the guest itself and compares memory, physical and virtual,
// and registers with what QEMU says. Then all ways to find memory must agree.
func compareStill(t *testing.T, vm *guesttest.VM, m *Machine, img *Image) {
	vm.QMP(t, "stop", nil)
	m.Forget()
	pages := readAll(t, m)
	ram := m.ram.Regions()
	file := filepath.Join(t.TempDir(), "dump")
	missing := 0
	for _, g := range ram {
		if g.Size < 1<<20 {
			continue
		}
		vm.QMP(t, "pmemsave", map[string]any{"val": g.Phys, "size": g.Size, "filename": file})
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for off := uint64(0); off < g.Size; off += 4096 {
			page := want[off : off+4096]
			if got, ok := pages[g.Phys+off]; ok && !bytes.Equal(got, page) {
				t.Fatalf("physical %#x differs from what QEMU saved", g.Phys+off)
			} else if !ok {
				missing++
				if !bytes.Equal(page, make([]byte, 4096)) {
					t.Fatalf("physical %#x is said not to be resident, and QEMU has something there", g.Phys+off)
				}
			}
		}
	}
	if len(pages) < 100 || missing == 0 {
		t.Errorf("%d pages there, %d not", len(pages), missing)
	}
	// Virtual memory: the image's bytes where they run, as QEMU sees them.
	slide := uint64(0)
	if strings.Contains(vm.Boot, "arm64-pie") {
		slide = 0x200000
	}
	for _, p := range img.Probes {
		b := make([]byte, len(p.Bytes))
		if err := target.ReadFull(t.Context(), m, b, p.Addr+slide); err != nil || !bytes.Equal(b, p.Bytes) {
			t.Errorf("code at %#x: %v", p.Addr+slide, err)
		}
	}
	if _, err := m.ReadMemory(t.Context(), make([]byte, 8), 0); err == nil {
		t.Error("the null page is readable: the guest has it unmapped")
	}
	regs, err := m.ReadRegisters(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if text := vm.HMP(t, "info registers"); !strings.Contains(text, fmt.Sprintf("%016x", regs.PC())) || !strings.Contains(text, fmt.Sprintf("%016x", regs.SP())) {
		t.Errorf("pc %#x and sp %#x are not in %s", regs.PC(), regs.SP(), text)
	}
	bySearch(t, vm, m, img)
}

// bySearch finds the same memory by the image's bytes alone.
func bySearch(t *testing.T, vm *guesttest.VM, m *Machine, img *Image) {
	s := newMachine(Options{Image: img})
	s.info, s.noMonitor = m.info, "this test uses none"
	var err error
	if s.proc, err = guestram.OpenProcess(vm.Pid()); err != nil {
		t.Fatal(err)
	}
	defer s.proc.Close()
	if err := s.search(t.Context(), guestram.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	big := func(m *Machine) (out []guestram.Region) {
		for _, g := range m.ram.Regions() {
			if g.Size >= 32<<20 && g.Phys != 0x4000000 && !strings.Contains(g.Name, "flash") {
				out = append(out, g)
			}
		}
		return out
	}
	a, b := big(m), big(s)
	if len(b) != 1 || len(a) == 0 || a[0].Host-a[0].Phys != b[0].Host-b[0].Phys {
		t.Errorf("by the monitor %+v\nby the image %+v", a, b)
	}
	buf := make([]byte, 64)
	p := img.Probes[3]
	slide := s.found - img.Probes[0].Addr
	if err := target.ReadFull(t.Context(), s, buf, p.Addr+slide); err != nil || !bytes.Equal(buf, p.Bytes) {
		t.Errorf("code at %#x: %v", p.Addr+slide, err)
	}
	if !strings.Contains(s.how, "which map its bytes") {
		t.Errorf("page tables: %s", s.how)
	}
	var none noMonitor
	if _, err := s.ReadRegisters(t.Context(), 0); !errors.As(err, &none) || !strings.Contains(err.Error(), "registers need a monitor") {
		t.Errorf("registers: %v", err)
	}
	// The wrong image is not found.
	wrong := *img
	wrong.Probes = nil
	for _, p := range img.Probes {
		b := bytes.Clone(p.Bytes)
		b[5] ^= 0xff
		wrong.Probes = append(wrong.Probes, guestram.Probe{Addr: p.Addr, Bytes: b})
	}
	s.img = &wrong
	if err := s.search(t.Context(), guestram.Options{}); !errors.Is(err, guestram.ErrNotFound) {
		t.Errorf("another image: %v", err)
	}
}

// TestProcess: pid:N uses a monitor of the command line that nobody holds; one
// that is held is named where none is left; a VMM that ends is told.
// waitAllStopped waits until every thread of a process has stopped.
func waitAllStopped(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("the threads of process %d: %v", pid, err)
		}
		stopped := 0
		for _, task := range tasks {
			b, err := os.ReadFile(task)
			if err != nil {
				break // it ended: look again
			}
			if _, rest, ok := strings.Cut(string(b), ") "); ok && strings.HasPrefix(rest, "T") {
				stopped++
			}
		}
		if stopped == len(tasks) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d threads have stopped", stopped, len(tasks))
		}
	}
}

func TestProcess(t *testing.T) {
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	vm.WaitConsole(t, "requests served", patience)
	img := imageOf(t, vm.Debug)
	m, err := OpenProcess(t.Context(), vm.Pid(), Options{Image: img})
	if err != nil {
		t.Fatal(err)
	}
	if mon, ok := m.MonitorSocket(); !ok || mon.Path != vm.QMPPath {
		t.Errorf("monitor %+v, %v", mon, ok)
	}
	// Held by somebody: no registers, and memory all the same.
	held := make(chan struct{})
	release := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- qmp.Monitor{Path: vm.QMPPath}.Do(context.Background(), func(*qmp.Conn) error { close(held); <-release; return nil })
	}()
	<-held
	n, err := OpenProcess(t.Context(), vm.Pid(), Options{Image: img})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("in use by %d", os.Getpid()); !strings.Contains(n.Limits(), want) {
		t.Errorf("limits %q, want %q", n.Limits(), want)
	}
	if err := target.ReadFull(t.Context(), n, make([]byte, 64), img.Probes[0].Addr); err != nil {
		t.Error(err)
	}
	n.Close()
	m.Forget()
	var busy *qmp.InUseError
	if _, err := m.ReadRegisters(t.Context(), 0); !errors.As(err, &busy) {
		t.Errorf("registers by a held monitor: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	m.Forget()
	if _, err := m.ReadRegisters(t.Context(), 0); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
	if n := stops(vm); n != 0 {
		t.Errorf("the guest was stopped %d times", n)
	}
	// A VMM that stands still itself: its monitor is deaf, its memory readable.
	if err := syscall.Kill(vm.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitAllStopped(t, vm.Pid()) // on a loaded host one of its threads runs on, and greets
	m.Forget()
	began, short := time.Now(), guesttest.Shortage()
	if _, err := m.ReadRegisters(t.Context(), 0); !errors.Is(err, qmp.ErrHung) || !errors.Is(err, target.ErrLost) || time.Since(began) > 3*time.Second+guesttest.Shortage()-short {
		t.Errorf("registers by a deaf monitor: %v after %v", err, time.Since(began))
	}
	if err := syscall.Kill(vm.Pid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	vm.Kill()
	m.Forget()
	if _, err := m.ReadMemory(t.Context(), make([]byte, 8), img.Probes[0].Addr); !errors.Is(err, target.ErrLost) {
		t.Errorf("memory of a process that ended: %v", err)
	}
	if _, err := OpenProcess(t.Context(), vm.Pid(), Options{Image: img}); !errors.Is(err, guestram.ErrVanished) {
		t.Errorf("opening a process that ended: %v", err)
	}
	m.Close()
}
