//go:build linux

package livevm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/guestram"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// OpenMonitor opens the VM whose monitor listens at a path.
func OpenMonitor(ctx context.Context, mon qmp.Monitor, opt Options) (*Machine, error) {
	m := newMachine(opt)
	mon.Timeout, mon.Meter = opt.Timeout, m.meter
	m.mon = &mon
	if err := m.introduce(ctx, opt); err != nil {
		m.abandon()
		return nil, err
	}
	return m, nil
}

// OpenProcess opens the VM a process runs: by a monitor its command line names
// and nobody holds, else by the image's bytes alone.
func OpenProcess(ctx context.Context, pid int, opt Options) (*Machine, error) {
	m := newMachine(opt)
	var err error
	if m.proc, err = guestram.OpenProcess(pid); err != nil {
		return nil, lost{err}
	}
	if m.info, err = vmm.ByPID(pid); err != nil && !errors.Is(err, vmm.ErrNotVMM) {
		m.abandon()
		return nil, err
	}
	if m.info.Confidential != "" {
		m.abandon()
		return nil, confidential(pid, m.info.Confidential)
	}
	if err := m.tryMonitors(ctx, opt); err != nil {
		m.abandon()
		return nil, err
	}
	if m.mon != nil {
		return m, nil
	}
	if err := m.search(ctx, opt.Access); err != nil {
		m.abandon()
		return nil, err
	}
	return m, nil
}

func newMachine(opt Options) *Machine {
	m := &Machine{img: opt.Image, meter: &qmp.Meter{}}
	if opt.Patches != nil {
		m.patches = func() []Patch {
			path := ""
			if m.mon != nil {
				path = m.mon.Path
			}
			return opt.Patches(m.PID(), path)
		}
	}
	if opt.Image != nil {
		m.arch = opt.Image.Arch
	}
	return m
}

func (m *Machine) abandon() {
	if m.ram != nil {
		m.ram.Close() // it was only read
	}
	if m.proc != nil {
		m.proc.Close()
	}
}

// tryMonitors takes the first usable monitor of the process's command line. That
// none can be used is told in noMonitor; a failure of another kind is an error.
func (m *Machine) tryMonitors(ctx context.Context, opt Options) error {
	usable := m.info.Usable()
	if len(usable) == 0 {
		m.noMonitor = "the VMM has none that others may use (start QEMU with -qmp unix:PATH,server=on,wait=off)"
	}
	for _, v := range usable {
		m.mon = &qmp.Monitor{Path: v.Path, Proto: qmp.Proto(v.Proto), Timeout: opt.Timeout, Meter: m.meter}
		err := m.introduce(ctx, opt)
		if err == nil {
			return nil
		}
		m.mon = nil
		var denied *guestram.AccessError
		if errors.As(err, &denied) || errors.Is(err, guestram.ErrVanished) || errors.Is(err, ErrConfidential) || ctx.Err() != nil {
			return err
		}
		m.noMonitor = err.Error()
	}
	return nil
}

// introduce asks the monitor for what is needed once: whose it is, whether memory
// is encrypted, where it lies, the run state, and the first registers. Others are
// let in between; what is made of the answers waits until the monitor is free.
func (m *Machine) introduce(ctx context.Context, opt Options) error {
	var regions []guestram.Region
	var status, registers, encrypted string
	var pid int
	err := m.do(ctx, func(c *qmp.Conn) (err error) {
		m.mon.Proto, m.version, pid = c.Proto(), c.Version(), c.PID()
		if status, err = c.HMP(ctx, "info status"); err != nil {
			return err
		}
		if encrypted, err = isEncrypted(ctx, c); err != nil || encrypted != "" {
			return err
		}
		if regions, err = guestram.ByMonitor(ctx, c); err != nil {
			return err
		}
		if err = c.Yield(ctx); err != nil {
			return err
		}
		registers, err = m.askRegisters(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	if encrypted != "" {
		return confidential(pid, encrypted)
	}
	if err := m.identify(ctx, pid); err != nil {
		return err
	}
	m.status = strings.TrimSpace(strings.TrimPrefix(status, "VM status:"))
	ram, err := guestram.Open(m.proc, regions, opt.Access)
	if err != nil {
		return err
	}
	m.ram = ram
	if err := m.takeRegisters(registers); err != nil {
		m.ram = nil
		return errors.Join(err, ram.Close())
	}
	return nil
}

// identify finds the process behind the monitor, whose kernel says that pid
// listens.
func (m *Machine) identify(ctx context.Context, pid int) (err error) {
	if m.proc != nil {
		// pid: names it. A socket of another VMM there is refused.
		if pid != 0 && pid != m.PID() {
			return fmt.Errorf("monitor %s is of process %d, not of %d", m.mon.Path, pid, m.PID())
		}
		return nil
	}
	info, err := vmm.ByPID(pid)
	if pid == 0 || err != nil {
		// A manager opened the socket and handed it down, or the VMM is in another
		// process namespace: who names it on its command line?
		owners, lerr := vmm.ByListener(ctx, "unix:"+m.mon.Path)
		if lerr != nil || len(owners) != 1 {
			return errors.Join(fmt.Errorf("which process serves monitor %s cannot be seen from here: run ukdbg in the VMM's process namespace, or give pid:N", m.mon.Path), lerr)
		}
		info = owners[0]
	}
	m.info = info
	if m.info.Confidential != "" {
		return confidential(m.info.PID, m.info.Confidential)
	}
	if m.proc, err = guestram.OpenProcess(m.info.PID); err != nil {
		return lost{err}
	}
	if m.info.StartTime != 0 && m.info.StartTime != m.proc.StartTime() {
		return fmt.Errorf("process %d: %w", m.info.PID, guestram.ErrVanished)
	}
	return nil
}

// machineType is QEMU's -machine, without a version: "q35" of "pc-q35-7.2".
func (m *Machine) machineType() string {
	for i, a := range m.info.Args {
		if (a == "-machine" || a == "-M" || a == "--machine") && i+1 < len(m.info.Args) {
			name, _, _ := strings.Cut(strings.TrimPrefix(m.info.Args[i+1], "type="), ",")
			switch {
			case strings.Contains(name, "q35"):
				return "q35"
			case strings.HasPrefix(name, "microvm"):
				return "microvm"
			}
			return name
		}
	}
	return ""
}

func isFault(err error) bool {
	var f *target.FaultError
	return errors.As(err, &f)
}
