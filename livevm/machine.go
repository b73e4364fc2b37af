//go:build linux

package livevm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/guestram"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
	"github.com/ukdbg/ukdbg/vmm"
)

// Machine is a running VM. It is used by one goroutine.
type Machine struct {
	proc *guestram.Process
	ram  *guestram.RAM
	info vmm.Process
	arch *arch.Arch
	img  *Image

	mon       *qmp.Monitor // nil: no registers
	noMonitor string       // why
	version   string       // of QEMU
	status    string       // "running", "paused (…)", "" if not known

	cpus  []processor // of this moment, nil if not read yet
	deaf  error       // why they could not be read in this moment
	count int         // processors, 0 if not known
	space *mmu.Space
	// fixed: the page tables are the image's and do not come from registers.
	fixed bool
	how   string // where the page tables come from
	found uint64 // physical address of the image's first probe, if it was searched
	known bool

	keeps  bool      // between commands, see KeepMonitor
	kept   *qmp.Conn // nil when it was given back
	forgot time.Time // the last moment in which everything was

	meter *qmp.Meter
	reads int // of all processors' registers

	patches func() []Patch // other debuggers' breakpoints, nil for none
	others  patches
}

// Used counts what observing has cost the VM so far.
type Used struct {
	// Use is of the monitor: how often and for how long it was held.
	qmp.Use
	// RegisterReads are those of them that read all processors' registers: under
	// KVM each makes each vCPU leave the guest once.
	RegisterReads int
}

var (
	_ target.Memory          = (*Machine)(nil)
	_ target.ManyReader      = (*Machine)(nil)
	_ target.PhysicalMemory  = (*Machine)(nil)
	_ target.RegisterReader  = (*Machine)(nil)
	_ target.SystemRegisters = (*Machine)(nil)
	_ target.CPULister       = (*Machine)(nil)
	_ target.Monitor         = (*Machine)(nil)
)

// Arch is the guest's architecture.
func (m *Machine) Arch() *arch.Arch { return m.arch }

// PID is the VMM's process.
func (m *Machine) PID() int { return m.proc.PID() }

// Process is what is known of the VMM.
func (m *Machine) Process() vmm.Process { return m.info }

// MonitorSocket is the monitor in use; ok is false if there is none.
func (m *Machine) MonitorSocket() (qmp.Monitor, bool) {
	if m.mon == nil {
		return qmp.Monitor{}, false
	}
	return *m.mon, true
}

// Stubs are the addresses of the GDB stubs on the VMM's command line.
func (m *Machine) Stubs() []string { return m.info.GDB }

// Hints are run-time addresses that probably lie in the image, if it was looked
// for and virtual addresses are taken as physical ones.
func (m *Machine) Hints() []uint64 {
	if !m.known {
		return nil
	}
	return []uint64{m.found}
}

// Used counts what observing has cost so far.
func (m *Machine) Used() Used { return Used{Use: m.meter.Use(), RegisterReads: m.reads} }

// Status is the run state the monitor told when the VM was opened, "" if there
// is no monitor.
func (m *Machine) Status() string { return m.status }

// Close lets go of the process. The guest is not touched.
func (m *Machine) Close() error {
	m.KeepMonitor(false)
	return errors.Join(m.ram.Close(), m.proc.Close())
}

// believed is for how long translations and others' breakpoints are believed while
// moments follow one another as fast as KeepMonitor says: what a guest maps anew
// meanwhile is not seen sooner.
const believed = 20 * time.Millisecond

// Forget starts a new moment: registers and translations are read again.
func (m *Machine) Forget() {
	m.cpus, m.deaf = nil, nil
	if m.keeps && time.Since(m.forgot) < believed {
		return
	}
	m.forgot = time.Now()
	m.others = patches{}
	if m.space != nil {
		m.space.Flush()
	}
}

// do runs f on the monitor, which is given back afterwards.
func (m *Machine) do(ctx context.Context, f func(*qmp.Conn) error) error {
	if m.mon == nil {
		return noMonitor{m.noMonitor}
	}
	err := m.withMonitor(ctx, f)
	if errors.Is(err, qmp.ErrHung) || errors.Is(err, qmp.ErrGone) {
		if m.proc != nil {
			if gone := m.proc.Alive(); gone != nil {
				err = gone
			}
		}
		return lost{err}
	}
	return err
}

// KeepMonitor says that registers will be read again and again, a millisecond or two
// apart: the monitor is kept from one reading to the next, and given back after 24
// commands or 20 ms, until that ends. Rest is called between two readings.
func (m *Machine) KeepMonitor(on bool) {
	m.keeps = on
	if !on && m.kept != nil {
		m.kept.Close()
		m.kept = nil
	}
}

// Rest is called when nothing is to be read for a while: a kept monitor whose time is
// over is given to others now, and taken again, so that the next reading need not wait
// for that.
func (m *Machine) Rest(ctx context.Context) {
	if m.kept == nil {
		return
	}
	if err := m.kept.Yield(ctx); err != nil {
		m.kept.Close()
		m.kept = nil // the next reading says why
	}
}

func (m *Machine) withMonitor(ctx context.Context, f func(*qmp.Conn) error) (err error) {
	if !m.keeps {
		return m.mon.Do(ctx, f)
	}
	if m.kept == nil {
		m.kept, err = m.mon.Open(ctx)
	} else {
		err = m.kept.Yield(ctx)
	}
	if err == nil {
		err = f(m.kept)
	}
	if err != nil && m.kept != nil {
		m.kept.Close() // a late answer would be taken for another's
		m.kept = nil
	}
	return err
}

// readRegisters reads all processors' registers, once a moment.
func (m *Machine) readRegisters(ctx context.Context) error {
	if m.cpus != nil || m.deaf != nil {
		return m.deaf // a monitor that is held costs a second each time
	}
	m.deaf = m.do(ctx, func(c *qmp.Conn) error {
		text, err := m.askRegisters(ctx, c)
		if err != nil {
			return err
		}
		return m.takeRegisters(text)
	})
	return m.deaf
}

func (m *Machine) askRegisters(ctx context.Context, c *qmp.Conn) (string, error) {
	m.reads++
	return c.HMP(ctx, "info registers -a")
}

// takeRegisters makes what the monitor printed the registers of this moment.
func (m *Machine) takeRegisters(text string) error {
	if m.arch == nil {
		m.arch = archOf(text)
	}
	if m.arch == nil {
		return fmt.Errorf("the guest's architecture is not known here: info registers shows %.60q", text)
	}
	cpus, err := parseRegisters(text, m.arch)
	if err != nil {
		return err
	}
	m.cpus, m.count = cpus, len(cpus)
	m.useRegisters()
	return nil
}

// useRegisters takes the page tables of the first processor with paging on.
func (m *Machine) useRegisters() {
	if m.arch != arch.X86_64 || m.fixed {
		return
	}
	root, how := mmu.Root{}, "virtual addresses are physical ones: paging is off"
	for i := range m.cpus {
		p := &m.cpus[i]
		if p.sys["cr0"]&mmu.CR0PG != 0 && p.long {
			root = mmu.X86(p.sys["cr3"], p.sys["cr4"]&mmu.CR4LA57 != 0)
			how = fmt.Sprintf("those of CPU %d (CR3 %#x)", i, p.sys["cr3"])
			break
		}
	}
	if m.space == nil || m.space.Root() != root {
		m.space, m.how = mmu.Virtual(m.ram, root), how
	}
}

// CPUs lists the processors; without a monitor none is known.
func (m *Machine) CPUs(ctx context.Context) ([]target.CPU, error) {
	if m.mon != nil && m.count == 0 {
		if err := m.readRegisters(ctx); err != nil {
			return nil, err
		}
	}
	out := make([]target.CPU, m.count)
	for i := range out {
		out[i] = target.CPU(i)
	}
	return out, nil
}

func (m *Machine) cpu(ctx context.Context, cpu target.CPU) (*processor, error) {
	if err := m.readRegisters(ctx); err != nil {
		return nil, err
	}
	if cpu < 0 || int(cpu) >= len(m.cpus) {
		return nil, fmt.Errorf("the VM has no CPU %d, it has %d in all", cpu, len(m.cpus))
	}
	return &m.cpus[cpu], nil
}

// ReadRegisters returns a processor's registers of this moment. All processors
// are read together, without a stop of the VM.
func (m *Machine) ReadRegisters(ctx context.Context, cpu target.CPU) (target.Regs, error) {
	p, err := m.cpu(ctx, cpu)
	if err != nil {
		return target.NewRegs(m.arch), err
	}
	return p.regs, nil
}

// ReadSystemRegisters returns an x86 processor's control registers by gdb's
// names. On arm64 the monitor shows none, and the map is empty.
func (m *Machine) ReadSystemRegisters(ctx context.Context, cpu target.CPU) (map[string][]byte, error) {
	p, err := m.cpu(ctx, cpu)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(p.sys))
	for name, v := range p.sys {
		out[name] = binary.LittleEndian.AppendUint64(nil, v)
	}
	return out, nil
}

// Regions are the stretches of guest-physical memory and where they lie in the
// VMM's process.
func (m *Machine) Regions() []guestram.Region { return m.ram.Regions() }

// Physical is the guest's memory by physical address.
func (m *Machine) Physical() target.Memory { return physical{m} }

// virtual is the address space, found when it is first wanted.
func (m *Machine) virtual(ctx context.Context) (*mmu.Space, error) {
	if m.space == nil && m.mon != nil {
		if err := m.readRegisters(ctx); err != nil {
			return nil, err
		}
	}
	if m.space == nil {
		if err := m.findTables(ctx); err != nil {
			return nil, err
		}
	}
	return m.space, nil
}

// ReadMemory reads virtual memory.
func (m *Machine) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	s, err := m.virtual(ctx)
	if err != nil {
		return 0, err
	}
	n, err := s.ReadMemory(ctx, p, addr)
	m.unpatch(p[:max(0, min(n, len(p)))], addr, m.patched(ctx).virtual)
	return n, err
}

// ReadMany reads many ranges of virtual memory in one go.
func (m *Machine) ReadMany(ctx context.Context, r []target.Range) error {
	s, err := m.virtual(ctx)
	if err != nil {
		return err
	}
	err = s.ReadMany(ctx, r)
	m.unpatchAll(r, m.patched(ctx).virtual)
	return err
}

// Monitor runs a line of the human monitor. What it does to the guest is the
// caller's business.
func (m *Machine) Monitor(ctx context.Context, command string) (text string, err error) {
	err = m.do(ctx, func(c *qmp.Conn) error {
		text, err = c.HMP(ctx, command)
		return err
	})
	return text, err
}

// Describe tells how the VM is reached: name and value.
func (m *Machine) Describe() [][2]string {
	name := m.info.Comm
	if m.version != "" {
		name = "QEMU " + m.version
	}
	out := [][2]string{{"VMM", fmt.Sprintf("%s, process %d", name, m.PID())}}
	if m.status != "" {
		out = append(out, [2]string{"state", m.status})
	}
	if m.mon != nil {
		out = append(out, [2]string{"monitor", fmt.Sprintf("%s (%s), never held", m.mon.Path, strings.ToUpper(string(m.mon.Proto)))})
	} else {
		out = append(out, [2]string{"monitor", "none: " + m.noMonitor})
	}
	for _, g := range m.ram.Regions() {
		out = append(out, [2]string{"RAM", fmt.Sprintf("%#x-%#x %s", g.Phys, g.Last(), g.Name)})
	}
	out = append(out, m.ram.Facts()...)
	return append(out, [2]string{"page tables", m.how})
}

// Limits says what this way must do without, "" if nothing.
func (m *Machine) Limits() string {
	if m.mon == nil {
		return "no registers, and no way to stop the guest: " + m.noMonitor
	}
	return ""
}
