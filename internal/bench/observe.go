package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/livevm"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// ramSize is the memory of the guests observed.
const ramSize = 64 << 20

// observe measures what is read of a running guest without stopping it.
func observe(page *strings.Builder, ukdbg, dir string, n int) error {
	const all = "memory-backend-ram,id=m,size=64M,prealloc=on"
	g, monitor, err := bootMonitored(dir, all)
	if err != nil {
		return err
	}
	err = errors.Join(readRAM(page, g, monitor, n), listThreads(page, ukdbg, g, monitor, n))
	if err := errors.Join(err, g.close()); err != nil {
		return err
	}
	for _, b := range []struct{ name, object string }{
		{"anonymous", "memory-backend-ram,id=m,size=64M"},
		{"shared", "memory-backend-memfd,id=m,size=64M,share=on"},
	} {
		if err := ramCost(page, dir, b.name, b.object); err != nil {
			return err
		}
	}
	return nil
}

// bootMonitored boots a guest with a monitor and a memory backend.
func bootMonitored(dir, object string) (*guest, qmp.Monitor, error) {
	path := filepath.Join(dir, "qmp")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, qmp.Monitor{}, err
	}
	g, err := boot(dir, "x86_64", "-qmp", "unix:"+path+",server=on,wait=off", "-object", object, "-machine", "memory-backend=m")
	return g, qmp.Monitor{Path: path}, err
}

// readRAM compares reading all memory of a running guest, from nothing to the
// bytes, with gdb's dump of a stopped one.
func readRAM(page *strings.Builder, g *guest, monitor qmp.Monitor, n int) error {
	var a []float64
	buf := make([]byte, ramSize)
	for i := -1; i < n; i++ {
		began := time.Now()
		m, err := livevm.OpenMonitor(context.Background(), monitor, livevm.Options{})
		if err != nil {
			return err
		}
		read, err := readPages(m, buf)
		if err := errors.Join(err, m.Close()); err != nil {
			return err
		}
		if read < ramSize*9/10 {
			return fmt.Errorf("only %d of %d bytes were read", read, ramSize)
		}
		if i >= 0 {
			a = append(a, float64(time.Since(began).Microseconds())/1000)
		}
	}
	gdb := command{label: "gdb `dump`, guest stopped", args: []string{"gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off",
		"-ex", "target remote " + strings.TrimPrefix(g.gdb, "tcp:"), "-ex", "maintenance packet Qqemu.PhyMemMode:1",
		"-ex", "dump binary memory /dev/null 0 0x4000000", "-ex", "maintenance packet Qqemu.PhyMemMode:0", "-ex", "detach", g.dbg}}
	var b []float64
	for range 3 {
		t, err := gdb.time()
		if err != nil {
			return err
		}
		b = append(b, t)
	}
	fmt.Fprintf(page, "| read 64 MiB of a running guest, 0 stops (library, opening included) | %s | %s: %s | %.0f × | at least 100 |\n",
		spread(a), gdb.label, spread(b), median(b)/median(a))
	return nil
}

// readPages reads all of the guest's RAM, a MiB at a time and page by page where
// some are missing, and returns how many bytes there were.
func readPages(m *livevm.Machine, buf []byte) (int, error) {
	const step = 1 << 20
	ctx, ram := context.Background(), m.Physical()
	n := 0
	var pages []target.Range
	for at := 0; at < len(buf); at += step {
		part := buf[at : at+step]
		got, err := ram.ReadMemory(ctx, part, uint64(at))
		var hole *target.FaultError
		if err != nil && !errors.As(err, &hole) {
			return n, err
		}
		n += got
		if got == step {
			continue
		}
		pages = pages[:0]
		for off := got &^ 4095; off < step; off += 4096 {
			pages = append(pages, target.Range{Addr: uint64(at + off), Data: part[off : off+4096]})
		}
		if err := target.ReadMany(ctx, ram, pages); err != nil {
			return n, err
		}
		for _, r := range pages {
			n += r.N
		}
	}
	return n, nil
}

// listThreads compares the list of all threads with their stacks, whole process
// and no stop, with gdb's attach and one backtrace.
func listThreads(page *strings.Builder, ukdbg string, g *guest, monitor qmp.Monitor, n int) error {
	w := work{
		name: "all threads with stacks, 0 stops", goal: "at most 15 ms",
		a: command{label: "ukdbg", args: []string{ukdbg, "threads", "--stacks", "qmp:" + monitor.Path, "-e", g.dbg}},
		b: command{label: "gdb attach + bt of one, guest stopped", args: []string{"gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off",
			"-ex", "target remote " + strings.TrimPrefix(g.gdb, "tcp:"), "-ex", "bt", "-ex", "detach", g.dbg}},
	}
	return w.measure(page, n)
}

// hour is how often the guest is read for the row on RAM: once a second for an
// hour, without the waiting. warmUp readings come before what is measured.
const (
	hour   = 3600
	warmUp = 200
)

// ramCost measures what memory observing takes, of the guest's process and of
// ours. The peer reads the same pages in the process without asking which are
// there.
func ramCost(page *strings.Builder, dir, name, object string) error {
	g, monitor, err := bootMonitored(dir, object)
	if err != nil {
		return err
	}
	defer g.close()
	m, err := livevm.OpenMonitor(context.Background(), monitor, livevm.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	buf := make([]byte, ramSize)
	for i := range buf {
		buf[i] = 1 // our buffer is there before we measure
	}
	look := func(n int) error {
		for range n {
			m.Forget()
			if _, err := readPages(m, buf); err != nil {
				return err
			}
			if _, err := m.ReadRegisters(context.Background(), 0); err != nil {
				return err
			}
		}
		return nil
	}
	// Our own heap takes its size meanwhile.
	if err := look(warmUp); err != nil {
		return err
	}
	guest, own := rss(m.PID()), ownRSS()
	if err := look(hour); err != nil {
		return err
	}
	guestGrew, ownGrew := rss(m.PID())-guest, ownRSS()-own
	before := rss(m.PID())
	if err := readBlindly(m, buf); err != nil {
		return err
	}
	fmt.Fprintf(page, "| RAM that %d readings of a running guest cost (an hour, one a second), %s backing | guest's process %+d KiB, ours %+d KiB | one process_vm_readv of all: guest's process %+d KiB | | within 1,024 KiB |\n",
		hour, name, guestGrew, ownGrew, rss(m.PID())-before)
	return nil
}

// readBlindly reads the guest's RAM in its process, present or not.
func readBlindly(m *livevm.Machine, buf []byte) error {
	for _, g := range m.Regions() {
		size := min(g.Size, uint64(len(buf)))
		local := unix.Iovec{Base: &buf[0]}
		local.SetLen(int(size))
		_, err := unix.ProcessVMReadv(m.PID(), []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(g.Host), Len: int(size)}}, 0)
		if err != nil {
			return err
		}
	}
	return nil
}

// ownRSS is our own memory after a collection, in KiB.
func ownRSS() int {
	runtime.GC()
	debug.FreeOSMemory()
	return rss(os.Getpid())
}

// rss is a process's resident memory in KiB, the sum of its kinds.
func rss(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	sum := 0
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains([]string{"RssAnon", "RssShmem"}, name) {
			n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			sum += n
		}
	}
	return sum
}
