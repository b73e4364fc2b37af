package corefile

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// contents is what a format's reader makes of a file.
type contents struct {
	format string // in words, for people
	arch   *arch.Arch
	// phys is memory by physical address, nil where the file has virtual
	// memory alone, which is virt then.
	phys, virt target.Memory
	// walk is what page tables point into where that is not phys: the machine
	// frames of a Xen PV guest.
	walk  target.Memory
	cpus  []cpuState
	notes []string
	info  vmcoreinfo
	// entry is where the process's program begins (AT_ENTRY), 0 if not known.
	entry  uint64
	signal Signal         // what ended the process
	own    *dumpfile.Info // what ukdbg wrote of it, nil for another's dump
}

// Dump is an opened dump. It may be used by several goroutines; UseRoot comes
// before.
type Dump struct {
	contents
	files  closers
	spaces []target.Memory // virtual memory of each CPU
	first  int             // the CPU whose virtual memory is the dump's
	rooted bool            // a page table was found
	opened int64           // the file's size in bytes when it was opened
	now    func() int64    // and now; nil for what is no file
}

var (
	_ target.Memory          = (*Dump)(nil)
	_ target.PhysicalMemory  = (*Dump)(nil)
	_ target.RegisterReader  = (*Dump)(nil)
	_ target.SystemRegisters = (*Dump)(nil)
	_ target.CPULister       = (*Dump)(nil)
)

func (c *contents) dump() *Dump {
	d := &Dump{contents: *c}
	if len(d.cpus) == 0 {
		d.notes = append(d.notes, "the dump has no registers")
	}
	d.translate()
	d.useOwn()
	return d
}

// Close closes the file.
func (d *Dump) Close() error { return d.files.Close() }

// Arch returns the guest's architecture.
func (d *Dump) Arch() *arch.Arch { return d.arch }

// Format names the dump's format.
func (d *Dump) Format() string { return d.format }

// Notes says in sentences what limits this dump: what is missing, cut off or
// assumed, and whether its file has grown since it was opened.
func (d *Dump) Notes() []string {
	notes := d.notes[:len(d.notes):len(d.notes)]
	if d.now != nil {
		if now := d.now(); now > d.opened {
			notes = append(notes, fmt.Sprintf("the file grew from %d to %d bytes since it was opened: it is still being written", d.opened, now))
		} else if now < d.opened {
			notes = append(notes, fmt.Sprintf("the file shrank from %d to %d bytes since it was opened", d.opened, now))
		}
	}
	return notes
}

// AddNote adds to what limits the dump what was found out about it later.
func (d *Dump) AddNote(note string) { d.notes = append(d.notes, note) }

// Process reports whether the dump is of a process and not of a machine: its
// "processors" are threads, and code that its file still holds is left out of it.
func (d *Dump) Process() bool { return d.virt != nil }

// Slide tells where an image with that entry address lies, if the dump says so:
// what to add to a link-time address. Linux notes it (VMCOREINFO), and so does a
// process's auxiliary vector.
func (d *Dump) Slide(entry uint64) (slide uint64, ok bool) {
	if d.entry != 0 && entry != 0 {
		return d.entry - entry, true
	}
	return d.info.number("KERNELOFFSET", 16)
}

// Thread is the number of the process's thread that stands for a processor, 0 if
// the dump is of a machine.
func (d *Dump) Thread(cpu target.CPU) int {
	if c, err := d.cpu(cpu); err == nil && d.Process() {
		return c.thread
	}
	return 0
}

// CPUs lists the processors the dump has registers of.
func (d *Dump) CPUs(context.Context) ([]target.CPU, error) {
	all := make([]target.CPU, len(d.cpus))
	for i := range all {
		all[i] = target.CPU(i)
	}
	return all, nil
}

func (d *Dump) cpu(cpu target.CPU) (*cpuState, error) {
	if cpu < 0 || int(cpu) >= len(d.cpus) {
		return nil, fmt.Errorf("the dump has no CPU %d, it has %d in all", cpu, len(d.cpus))
	}
	return &d.cpus[cpu], nil
}

// ReadRegisters returns the registers of a processor as they were.
func (d *Dump) ReadRegisters(_ context.Context, cpu target.CPU) (target.Regs, error) {
	c, err := d.cpu(cpu)
	if err != nil {
		return target.Regs{}, err
	}
	return c.regs, nil
}

// ReadSystemRegisters returns the control registers of a processor, by gdb's
// names. Where a format has none the map is empty.
func (d *Dump) ReadSystemRegisters(_ context.Context, cpu target.CPU) (map[string][]byte, error) {
	c, err := d.cpu(cpu)
	if err != nil {
		return nil, err
	}
	m := make(map[string][]byte, len(c.sys))
	for name, v := range c.sys {
		m[name] = binary.LittleEndian.AppendUint64(nil, v)
	}
	return m, nil
}

// Physical returns the guest's memory by physical address, nil for a process.
func (d *Dump) Physical() target.Memory { return d.phys }

// ReadMemory reads virtual memory as the first processor with paging on sees
// it. Virtual is that of another.
func (d *Dump) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	return d.spaces[d.first].ReadMemory(ctx, p, addr)
}

// Virtual returns virtual memory as a processor sees it.
func (d *Dump) Virtual(cpu target.CPU) (target.Memory, error) {
	if _, err := d.cpu(cpu); err != nil {
		return nil, err
	}
	return d.spaces[cpu], nil
}

// Rooted reports whether the page tables are known. Where they are not virtual
// addresses are taken as physical ones.
func (d *Dump) Rooted() bool { return d.rooted || d.virt != nil }

// UseRoot makes root the page tables of every processor, for a guest whose dump
// does not name them.
func (d *Dump) UseRoot(root mmu.Root) {
	if d.virt != nil {
		return
	}
	for i := range d.spaces {
		d.spaces[i] = mmu.Virtual(d.tables(), root)
	}
	d.first = 0
	d.rooted = root.Format != mmu.Identity
}

// Unrooted reports whether the dump leaves open where the page tables are, so
// that virtual addresses are taken as physical ones for want of better.
func (d *Dump) Unrooted() bool {
	return !d.Rooted() && d.own == nil && slices.ContainsFunc(d.notes, func(n string) bool {
		return isIdentityNote(n) && strings.Contains(n, untold)
	})
}

// UseFound is UseRoot with page tables that were found elsewhere; how tells
// where, and goes into the notes.
func (d *Dump) UseFound(root mmu.Root, how string) {
	d.UseRoot(root)
	d.forgetIdentity()
	d.AddNote("page tables: " + how)
}

// tables is the memory page tables point into.
func (d *Dump) tables() target.Memory {
	if d.walk != nil {
		return d.walk
	}
	return d.phys
}

// Root returns the page tables of the first processor with paging on, which is
// identity where virtual addresses are taken as physical ones; ok is false where
// virtual memory cannot be read.
func (d *Dump) Root(context.Context) (root mmu.Root, ok bool) {
	s, ok := d.spaces[d.first].(*mmu.Space)
	if !ok {
		return mmu.Root{}, false
	}
	return s.Root(), true
}

// identityNote begins the notes on guests taken to have no page tables; untold
// is in those that say that the dump leaves it open.
const (
	identityNote = "virtual addresses are taken as physical ones: "
	untold       = "the dump "
)

// translate finds each processor's virtual memory.
func (d *Dump) translate() {
	d.spaces = make([]target.Memory, max(len(d.cpus), 1))
	if d.virt != nil {
		for i := range d.spaces {
			d.spaces[i] = d.virt
		}
		return
	}
	var cpus, reasons []string
	for i := range d.spaces {
		var c cpuState
		if i < len(d.cpus) {
			c = d.cpus[i]
		}
		root, why, err := c.root(d.arch)
		if err != nil {
			d.spaces[i] = untranslated{err.Error()}
			d.notes = append(d.notes, fmt.Sprintf("CPU %d: its virtual memory cannot be read: %v", i, err))
			continue
		}
		if why == "" && !d.rooted {
			d.first, d.rooted = i, true
		} else if why != "" {
			cpus = append(cpus, fmt.Sprintf("CPU %d: %s%s", i, identityNote, why))
			if !slices.Contains(reasons, identityNote+why) {
				reasons = append(reasons, identityNote+why)
			}
		}
		d.spaces[i] = mmu.Virtual(d.tables(), root)
	}
	if d.rooted {
		d.notes = append(d.notes, cpus...)
		return
	}
	if root, ok := d.info.root(d.arch); ok {
		d.UseRoot(root)
		d.notes = append(d.notes, "page tables: those VMCOREINFO names, the kernel's own")
		return
	}
	d.notes = append(d.notes, reasons...)
}

// root is the root of a processor's page tables. Identity comes with the reason
// for it; an error says that no walk is possible.
func (c *cpuState) root(a *arch.Arch) (root mmu.Root, why string, err error) {
	switch {
	case c.identity:
		return root, "the format maps them so", nil
	case a.Machine == elf.EM_AARCH64:
		return c.rootARM64()
	case c.sys == nil:
		return root, untold + "does not say where the page tables are", nil
	case c.sys["cr0"]&mmu.CR0PG == 0:
		return root, "paging is off", nil
	case !c.long:
		return root, "", fmt.Errorf("the processor was not in 64-bit mode, whose paging alone is known")
	}
	return mmu.X86(c.sys["cr3"], c.sys["cr4"]&mmu.CR4LA57 != 0), "", nil
}

func (c *cpuState) rootARM64() (root mmu.Root, why string, err error) {
	tcr, ok := c.sys["TCR_EL1"]
	if !ok {
		return root, untold + "has no TTBR and TCR, as QEMU's of arm64 have none", nil
	}
	const mmuOn = 1
	if c.sys["SCTLR_EL1"]&mmuOn == 0 {
		return root, "the MMU is off", nil
	}
	root, err = mmu.ARM64(tcr, c.sys["TTBR0_EL1"], c.sys["TTBR1_EL1"])
	return root, "", err
}

// untranslated is virtual memory that cannot be found.
type untranslated struct{ why string }

func (u untranslated) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return 0, &target.FaultError{Addr: addr, Why: u.why}
}
