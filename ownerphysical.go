package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// physical tells what only the page tables and the machine know: a page table,
// a device, a guard page, or memory that is not mapped at all.
func (w *ownerSearch) physical(ctx context.Context, threads []Thread) error {
	root, phys, err := w.s.addressSpace(ctx)
	if err != nil {
		if phys == nil || ctx.Err() == nil {
			w.Notes = append(w.Notes, fmt.Sprintf("page tables and devices: %v", err))
		}
		return w.readable(ctx, threads, nil)
	}
	at := w.Addr
	if root.Format != mmu.Identity {
		page, err := root.Translate(ctx, phys, w.Addr)
		var none *mmu.NotMappedError
		if errors.As(err, &none) {
			w.nobody(threads, none.Error())
			return nil
		}
		if err != nil {
			w.Notes = append(w.Notes, err.Error())
			return w.readable(ctx, threads, nil)
		}
		at = page.Phys + (w.Addr - page.Virt)
		w.tables(ctx, root, phys, at)
	}
	if w.inRAM(ctx, phys, at) {
		return w.readable(ctx, threads, &at)
	}
	if name, first, last, ok := w.device(ctx, at); ok {
		w.add(OwnerFact{Kind: OwnedByDevice, Name: name, First: first + (w.Addr - at), Last: last + (w.Addr - at),
			Text: fmt.Sprintf("device registers of %s, offset %#x (physical %#x)", name, at-first, at)})
		return nil
	}
	return w.readable(ctx, threads, &at)
}

// inRAM reports whether a physical address surely is memory. Where memory is read
// in place only memory reads; a stub reads a device too, which that may mind.
func (w *ownerSearch) inRAM(ctx context.Context, phys target.Memory, at uint64) bool {
	if w.s.live != nil {
		return false
	}
	var b [1]byte
	n, _ := phys.ReadMemory(ctx, b[:], at)
	return n == 1
}

// tables tells whether physical address at is in a page table.
func (w *ownerSearch) tables(ctx context.Context, root mmu.Root, phys target.Memory, at uint64) {
	list, _, err := root.Survey(ctx, phys)
	if err != nil && !errors.Is(err, mmu.ErrSurvey) {
		w.Notes = append(w.Notes, fmt.Sprintf("page tables: %v", err))
	}
	for _, t := range list {
		if at-t.Phys < t.Size {
			w.add(OwnerFact{
				Kind: OwnedByPageTable, Name: t.Level, First: w.Addr - (at - t.Phys), Last: w.Addr - (at - t.Phys) + t.Size - 1,
				Text: fmt.Sprintf("page table in use (%s, for %#x and up), entry %d", t.Level, t.Virt, (at-t.Phys)/8),
			})
			return
		}
	}
}

// readable tells memory that nothing else was told of by whether it reads.
func (w *ownerSearch) readable(ctx context.Context, threads []Thread, phys *uint64) error {
	if len(w.Facts) > 0 {
		return nil
	}
	var b [1]byte
	_, err := w.s.mem.ReadMemory(ctx, b[:], w.Addr)
	var hole *target.FaultError
	switch {
	case errors.As(err, &hole):
		w.nobody(threads, hole.Error())
	case err != nil:
		return err
	case phys != nil && *phys != w.Addr:
		w.add(OwnerFact{Kind: OwnedByRAM, Text: fmt.Sprintf("memory (physical %#x) that belongs to nothing known here", *phys)})
	default:
		w.add(OwnerFact{Kind: OwnedByRAM, Text: "memory that belongs to nothing known here"})
	}
	return nil
}

// guardReach is how far below a stack an address is taken to be meant for it.
const guardReach = 64 << 10

// nobody tells an address that is not mapped, and which stack it is below.
func (w *ownerSearch) nobody(threads []Thread, why string) {
	for _, t := range threads {
		if t.Stack > w.Addr && t.Stack-w.Addr <= guardReach {
			// First of all: it lies in the heap, too.
			w.Facts = append([]OwnerFact{{
				Kind: OwnedByGuard, Name: t.Name, First: (t.Stack - 1) &^ 4095, Last: t.Stack - 1,
				Text: fmt.Sprintf("%d bytes below the stack of %s, not mapped: a guard page", t.Stack-w.Addr, threadName(t)),
			}}, w.Facts...)
			return
		}
	}
	text := why
	if w.Addr < 4096 {
		text = fmt.Sprintf("in the null page, not mapped (%s)", why)
	}
	w.add(OwnerFact{Kind: OwnedByNobody, Text: text})
}

// fixedDevice names what an architecture or its usual machine has at fixed
// places, where no monitor tells better: Intel SDM volume 3A, 11.4.1; the 82093AA
// datasheet; QEMU hw/arm/virt.c, base_memmap.
func fixedDevice(a *arch.Arch, at uint64) (name string, first, last uint64, ok bool) {
	type device struct {
		first, last uint64
		name        string
	}
	list := []device{{0xa0000, 0xbffff, "VGA memory"}, {0xfec00000, 0xfec00fff, "the I/O APIC"}, {0xfee00000, 0xfee00fff, "the local APIC"}}
	if a == arch.ARM64 {
		list = []device{
			{0x08000000, 0x080fffff, "the interrupt controller (of QEMU's virt machine)"}, {0x09000000, 0x09000fff, "the UART (of QEMU's virt machine)"},
			{0x09010000, 0x09010fff, "the real-time clock (of QEMU's virt machine)"}, {0x0a000000, 0x0a003fff, "virtio (of QEMU's virt machine)"},
		}
	}
	for _, d := range list {
		if at >= d.first && at <= d.last {
			return d.name, d.first, d.last, true
		}
	}
	return "", 0, 0, false
}

// device names the device at a physical address: by the monitor's word, else by
// what is at fixed places.
func (w *ownerSearch) device(ctx context.Context, at uint64) (name string, first, last uint64, ok bool) {
	m, can := w.s.machine.machine.(target.Monitor)
	if !can && w.s.observer != nil {
		m, can = w.s.observer.(target.Monitor)
	}
	if can {
		if text, err := m.Monitor(ctx, "info mtree -f"); err == nil && strings.Contains(text, "FlatView") {
			return deviceAt(text, at)
		}
	}
	return fixedDevice(w.s.arch, at)
}

var mtreeLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (i/o|ramd|romd)\): (.+?)(?: @[0-9a-f]{16})?\r?$`)
})

// deviceAt finds the device at a physical address in QEMU's "info mtree -f", in
// the view that serves the address space "memory".
func deviceAt(text string, at uint64) (name string, first, last uint64, ok bool) {
	for _, view := range strings.Split(text, "FlatView #")[1:] {
		if !strings.Contains(view, ` AS "memory"`) {
			continue
		}
		for _, m := range mtreeLine().FindAllStringSubmatch(view, -1) {
			// The expression lets 16 hexadecimal digits through, which fit.
			first, _ = strconv.ParseUint(m[1], 16, 64)
			last, _ = strconv.ParseUint(m[2], 16, 64)
			if at >= first && at <= last {
				return m[4], first, last, true
			}
		}
		return "", 0, 0, false
	}
	return "", 0, 0, false
}

var ramLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ram\): `)
})

// ramOf lists the memory in QEMU's "info mtree -f".
func ramOf(text string) []dumpfile.Extent {
	for _, view := range strings.Split(text, "FlatView #")[1:] {
		if !strings.Contains(view, ` AS "memory"`) {
			continue
		}
		var out []dumpfile.Extent
		for _, m := range ramLine().FindAllStringSubmatch(view, -1) {
			first, _ := strconv.ParseUint(m[1], 16, 64)
			last, _ := strconv.ParseUint(m[2], 16, 64)
			if last >= first && last-first < 1<<48 && (len(out) == 0 || first >= out[len(out)-1].Phys+out[len(out)-1].Size) {
				out = append(out, dumpfile.Extent{Phys: first, Size: last - first + 1})
			}
		}
		return out
	}
	return nil
}
