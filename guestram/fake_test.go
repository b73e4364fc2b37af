//go:build linux

package guestram

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/target"
)

// The test binary is also a VMM without a guest (role "vmm"), and a reader of
// one with other rights (role "reader").
func TestMain(m *testing.M) {
	switch os.Getenv("GUESTRAM_ROLE") {
	case "vmm":
		fakeVMM()
	case "reader":
		fakeReader()
	}
	os.Exit(m.Run())
}

const fakeSize = 4 << 20

// fakeLayout is where the fake VMM has its memory.
type fakeLayout struct {
	Anon, Memfd, SharedAnon, Fault uint64
}

// fakeVMM maps memory of each kind, touches every second page of the first
// quarter, and waits for the end of its input.
func fakeVMM() {
	must := func(b []byte, err error) []byte {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return b
	}
	fd, err := unix.MemfdCreate("guest-ram", 0)
	must(nil, errors.Join(err, unix.Ftruncate(fd, fakeSize)))
	rw := unix.PROT_READ | unix.PROT_WRITE
	anon := must(unix.Mmap(-1, 0, fakeSize, rw, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE))
	memfd := must(unix.Mmap(fd, 0, fakeSize, rw, unix.MAP_SHARED))
	shared := must(unix.Mmap(-1, 0, fakeSize, rw, unix.MAP_SHARED|unix.MAP_ANON))
	fault := must(unix.Mmap(-1, 0, fakeSize, rw, unix.MAP_PRIVATE|unix.MAP_ANON))
	must(nil, unix.Madvise(anon, unix.MADV_NOHUGEPAGE))
	for off := 0; off < fakeSize/4; off += 2 * hostPage {
		for _, m := range [][]byte{anon, memfd, shared, fault} {
			binary.LittleEndian.PutUint64(m[off:], uint64(off)+1)
		}
	}
	anon[hostPage*100] = 0 // a page of zeros that is there
	memfd[hostPage*100] = 0
	if os.Getenv("GUESTRAM_UFFD") != "" {
		must(nil, registerUserfault(fault))
	}
	at := func(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
	json.NewEncoder(os.Stdout).Encode(fakeLayout{at(anon), at(memfd), at(shared), at(fault)})
	bufio.NewReader(os.Stdin).ReadByte()
	os.Exit(0)
}

// registerUserfault gives a range to a userfaultfd: ioctl_userfaultfd(2).
func registerUserfault(b []byte) error {
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if e != 0 {
		return fmt.Errorf("userfaultfd: %w", e)
	}
	api := [3]uint64{0xaa}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, fd, 0xc018aa3f, uintptr(unsafe.Pointer(&api))); e != 0 {
		return fmt.Errorf("UFFDIO_API: %w", e)
	}
	reg := [4]uint64{uint64(uintptr(unsafe.Pointer(&b[0]))), uint64(len(b)), 1} // missing pages
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, fd, 0xc020aa00, uintptr(unsafe.Pointer(&reg))); e != 0 {
		return fmt.Errorf("UFFDIO_REGISTER: %w", e)
	}
	return nil
}

// startVMM starts a fake VMM as a user; uid 0 is this one.
func startVMM(t *testing.T, uid uint32, env ...string) (*exec.Cmd, fakeLayout) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append([]string{"GUESTRAM_ROLE=vmm", "GOMAXPROCS=1"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	var l fakeLayout
	if err != nil || json.Unmarshal([]byte(line), &l) != nil {
		t.Fatalf("the fake VMM said %q, %v", line, err)
	}
	return cmd, l
}

func openFake(t *testing.T, pid int, opt Options, hosts ...uint64) *RAM {
	t.Helper()
	p, err := OpenProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	var regions []Region
	for i, h := range hosts {
		regions = append(regions, Region{Phys: uint64(i) * fakeSize, Host: h, Size: fakeSize, Name: "ram"})
	}
	r, err := Open(p, regions, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// rss is a field of /proc/PID/status in KiB.
func rss(t *testing.T, pid int, name string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(field(string(b), name+":")), " kB"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAbsent: what is there is read, what is not is told, and looking at all of
// it brings no page into being.
func TestAbsent(t *testing.T) {
	cmd, l := startVMM(t, 0)
	pid := cmd.Process.Pid
	for _, c := range []struct {
		name string
		host uint64
		why  string
	}{
		{"anonymous", l.Anon, whyAbsent},
		{"memfd", l.Memfd, whyHole},
		{"shared anonymous", l.SharedAnon, whyAbsent},
	} {
		r := openFake(t, pid, Options{}, c.host)
		shmem, anon := rss(t, pid, "RssShmem"), rss(t, pid, "RssAnon")
		there := 0
		buf := make([]byte, hostPage)
		for page := uint64(0); page < fakeSize/hostPage; page++ {
			n, err := r.ReadMemory(t.Context(), buf, page*hostPage)
			touched := page < fakeSize/hostPage/4 && page%2 == 0
			if touched {
				there++
				want := page*hostPage + 1
				if page == 100 && c.name != "shared anonymous" {
					want &^= 0xff
				}
				if v := binary.LittleEndian.Uint64(buf); err != nil || n != hostPage || v != want {
					t.Fatalf("%s: page %d: %#x, %d bytes, %v; want %#x", c.name, page, v, n, err, want)
				}
				continue
			}
			var f *target.FaultError
			if !errors.As(err, &f) || n != 0 || f.Addr != page*hostPage || f.Why != c.why {
				t.Fatalf("%s: page %d: %d bytes, %v; want %q", c.name, page, n, err, c.why)
			}
		}
		if there != fakeSize/hostPage/8 {
			t.Errorf("%s: %d pages there", c.name, there)
		}
		if now := rss(t, pid, "RssShmem"); now > shmem+4 {
			t.Errorf("%s: RssShmem grew from %d to %d KiB", c.name, shmem, now)
		}
		if now := rss(t, pid, "RssAnon"); now > anon+64 {
			t.Errorf("%s: RssAnon grew from %d to %d KiB", c.name, anon, now)
		}
		// A read that begins on a page that is there ends at the hole.
		if n, err := r.ReadMemory(t.Context(), make([]byte, 3*hostPage), 10); n != hostPage-10 || err == nil {
			t.Errorf("%s: across a hole: %d bytes, %v", c.name, n, err)
		}
	}
}

// TestBatch: many ranges in one go, some of them holes, over three kinds of
// memory, are the same as one by one.
func TestBatch(t *testing.T) {
	cmd, l := startVMM(t, 0)
	r := openFake(t, cmd.Process.Pid, Options{}, l.Anon, l.Memfd, l.SharedAnon)
	var ranges []target.Range
	for i := range uint64(3000) {
		ranges = append(ranges, target.Range{Addr: i * 4093 % (3*fakeSize + 8192), Data: make([]byte, 8+i%5000)})
	}
	if err := r.ReadMany(t.Context(), ranges); err != nil {
		t.Fatal(err)
	}
	for _, g := range ranges {
		one := make([]byte, len(g.Data))
		n, err := r.ReadMemory(t.Context(), one, g.Addr)
		if n != g.N || (err == nil) != (g.Err == nil) || string(one[:n]) != string(g.Data[:g.N]) || err != nil && err.Error() != g.Err.Error() {
			t.Fatalf("%#x, %d bytes: %d, %v in one go; %d, %v alone", g.Addr, len(g.Data), g.N, g.Err, n, err)
		}
	}
	if _, err := r.ReadMemory(t.Context(), make([]byte, 1), 3*fakeSize); err == nil || !strings.Contains(err.Error(), whyNoRAM) {
		t.Errorf("beyond RAM: %v", err)
	}
}

// TestVanished: a process that ended is told, also where a file outlives it.
func TestVanished(t *testing.T) {
	cmd, l := startVMM(t, 0)
	r := openFake(t, cmd.Process.Pid, Options{}, l.Anon, l.Memfd)
	cmd.Process.Kill()
	cmd.Wait()
	for _, addr := range []uint64{0, fakeSize} {
		_, err := r.ReadMemory(t.Context(), make([]byte, 8), addr)
		if !errors.Is(err, ErrVanished) || !errors.Is(err, target.ErrLost) {
			t.Errorf("%#x: %v", addr, err)
		}
	}
	if _, err := OpenProcess(cmd.Process.Pid); !errors.Is(err, ErrVanished) {
		t.Errorf("opened again: %v", err)
	}
}

// TestUserfault: memory a userfaultfd looks after is left alone unless asked for.
func TestUserfault(t *testing.T) {
	cmd, l := startVMM(t, 0, "GUESTRAM_UFFD=1")
	r := openFake(t, cmd.Process.Pid, Options{}, l.Fault, l.Anon)
	_, err := r.ReadMemory(t.Context(), make([]byte, 8), 0)
	if err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("%v", err)
	}
	if _, err := r.ReadMemory(t.Context(), make([]byte, 8), fakeSize); err != nil {
		t.Errorf("memory beside it: %v", err)
	}
	asked := openFake(t, cmd.Process.Pid, Options{Userfault: true}, l.Fault)
	b := make([]byte, 8)
	if _, err := asked.ReadMemory(t.Context(), b, 0); err != nil || b[0] != 1 {
		t.Errorf("asked for: %v, %x", err, b)
	}
	if _, err := asked.ReadMemory(t.Context(), b, hostPage); err == nil {
		t.Error("a page that is not there was read")
	}
}

// field returns what follows a name at the start of a line.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return rest
		}
	}
	return ""
}
