package corefile

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// Dump is an opened dump. It may be used by several goroutines; UseRoot comes
// before.
type Dump struct {
	file   io.Closer // nil if there is nothing to close
	arch   *arch.Arch
	phys   physical
	cpus   []cpuState
	spaces []target.Memory // virtual memory of each CPU
	first  int             // the CPU whose virtual memory is the dump's
	notes  []string
}

var (
	_ target.Memory          = (*Dump)(nil)
	_ target.PhysicalMemory  = (*Dump)(nil)
	_ target.RegisterReader  = (*Dump)(nil)
	_ target.SystemRegisters = (*Dump)(nil)
	_ target.CPULister       = (*Dump)(nil)
)

// Open opens a dump file. Errors that are ErrFormat say what the file seems to
// be.
func Open(path string) (*Dump, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s: %w: it is no regular file", path, ErrFormat)
	}
	d, err := New(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d.file = f
	return d, nil
}

// New opens the dump of the given size in r, which is read as long as the dump
// is used.
func New(r io.ReaderAt, size int64) (*Dump, error) {
	data, size, err := unpack(r, size)
	if err != nil {
		return nil, err
	}
	l, err := readLayout(data, size)
	if err != nil {
		return nil, err
	}
	a := arch.ByMachine(l.machine)
	if a == nil {
		return nil, badELF("it is of a machine (%s) that is not known here", l.machine)
	}
	if processCore(l.notes) {
		return nil, badELF("it is the core of a process, not of a machine")
	}
	d := &Dump{arch: a, phys: physical{r: data, loads: l.loads, cut: l.cut}}
	var problems []string
	d.cpus, problems = parseNotes(l.notes, a)
	d.notes = append(d.notes, problems...)
	if l.cut {
		d.notes = append(d.notes, "the dump is cut off: some memory is missing at its end")
	}
	if len(d.cpus) == 0 {
		d.notes = append(d.notes, "the dump has no registers")
	}
	d.translate()
	return d, nil
}

// processCore tells the core of a process by its auxiliary vector (NT_AUXV),
// which no machine has.
func processCore(notes []byte) bool {
	const ntAuxv = 6
	for len(notes) >= 12 {
		le := binary.LittleEndian
		if le.Uint32(notes[8:]) == ntAuxv {
			return true
		}
		size := 12 + (uint64(le.Uint32(notes))+3)&^3 + (uint64(le.Uint32(notes[4:]))+3)&^3
		if size > uint64(len(notes)) {
			return false
		}
		notes = notes[size:]
	}
	return false
}

// Close closes the file.
func (d *Dump) Close() error {
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}

// Arch returns the guest's architecture.
func (d *Dump) Arch() *arch.Arch { return d.arch }

// Notes says in sentences what limits this dump: what is missing, cut off or
// assumed.
func (d *Dump) Notes() []string { return d.notes }

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

// ReadSystemRegisters returns the control registers of an x86 processor, by
// gdb's names. For arm64 a dump has none, and the map is empty.
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

// Physical returns the guest's memory by physical address.
func (d *Dump) Physical() target.Memory { return &d.phys }

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

// UseRoot makes root the page tables of every processor, for a guest whose dump
// does not name them.
func (d *Dump) UseRoot(root mmu.Root) {
	for i := range d.spaces {
		d.spaces[i] = mmu.Virtual(&d.phys, root)
	}
	d.first = 0
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

const identityNote = "virtual addresses are taken as physical ones: "

// translate finds each processor's virtual memory.
func (d *Dump) translate() {
	d.spaces = make([]target.Memory, max(len(d.cpus), 1))
	if d.arch.Machine == elf.EM_AARCH64 {
		d.UseRoot(mmu.Root{})
		d.notes = append(d.notes, identityNote+"QEMU's arm64 dumps have no TTBR and TCR")
		return
	}
	found := false
	for i := range d.spaces {
		var root mmu.Root
		why := "the dump does not say where the page tables are"
		if i < len(d.cpus) && d.cpus[i].sys != nil {
			c := &d.cpus[i]
			switch {
			case c.sys["cr0"]&mmu.CR0PG == 0:
				why = "its paging is off"
			case !c.long:
				why = ""
				d.spaces[i] = untranslated{"the processor is not in 64-bit mode, whose paging alone is known"}
				d.notes = append(d.notes, fmt.Sprintf("CPU %d was not in 64-bit mode: its virtual memory cannot be read", i))
			default:
				why = ""
				root = mmu.X86(c.sys["cr3"], c.sys["cr4"]&mmu.CR4LA57 != 0)
				if !found {
					d.first, found = i, true
				}
			}
		}
		if why != "" {
			d.notes = append(d.notes, fmt.Sprintf("CPU %d: %s%s", i, identityNote, why))
		}
		if d.spaces[i] == nil {
			d.spaces[i] = mmu.Virtual(&d.phys, root)
		}
	}
}

// untranslated is virtual memory that cannot be found.
type untranslated struct{ why string }

func (u untranslated) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return 0, &target.FaultError{Addr: addr, Why: u.why}
}

// errIO marks failures of the disk, which are no holes.
var errIO = errors.New("reading the dump file")
