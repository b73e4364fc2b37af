package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/profiler/perfevent"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// The changes to a VMM's command line.
const (
	enableMonitor  = "start QEMU with -qmp unix:PATH,server=on,wait=off"
	enableStub     = "start QEMU with -gdb unix:PATH,server=on,wait=off, or with a monitor: -qmp unix:PATH,server=on,wait=off"
	enablePlain    = "start the guest without memory encryption"
	libvirtMonitor = "add a monitor of your own to the domain: <qemu:commandline> <qemu:arg value='-qmp'/> <qemu:arg value='unix:PATH,server=on,wait=off'/>"
)

// vm is a guest of this host: its memory is read and its monitor asked, and it
// runs on.
func (x *exam) vm(ctx context.Context) {
	g := x.Guest
	if g.Confidential != "" {
		for i := range x.Powers {
			x.Powers[i].no("encrypted guest ("+g.Confidential+"): console and in-guest export only", enablePlain)
		}
		return
	}
	x.stub(ctx)
	s, err := x.session(ctx, fmt.Sprintf("%s:%d", target.PID, g.PID))
	if err != nil {
		x.closed(err)
		return
	}
	x.dump()
	// Nothing was changed that leaving could undo.
	defer s.Leave(context.WithoutCancel(ctx))
	how := "read in the VMM's process"
	for _, f := range s.TargetFacts() {
		if f[0] == "memory" {
			how = f[1]
			break
		}
	}
	x.power(Memory).works(how)
	x.power(NoStop).works("memory and what is made of it, while the guest runs")
	x.tryRegisters(ctx, s, x.monitorChange())
	x.tryPerf(ctx, s)
	x.tryKernel(ctx, s)
	if u := s.MonitorUse(); u.Connections > 0 {
		// Who else uses the monitor wants to know what that costs them.
		p := x.power(NoStop)
		p.How += fmt.Sprintf("; for all of this the monitor was taken %s and never held for longer than %s",
			count(u.Connections, "time"), u.Longest.Round(100*time.Microsecond))
	}
}

// session opens a target with the image, or without it where that is not what
// the guest runs.
func (x *exam) session(ctx context.Context, spec string) (*ukdbg.Session, error) {
	if x.im.open {
		s, err := ukdbg.Open(ctx, ukdbg.Options{Target: spec, Image: x.Image})
		if err == nil || !errors.Is(err, ukdbg.ErrMismatch) {
			if err == nil {
				x.match(true)
			}
			return s, err
		}
		x.match(false)
		x.ImageNote = oneLine(err)
		x.im = image{}
	}
	return ukdbg.Open(ctx, ukdbg.Options{Target: spec})
}

func (x *exam) match(yes bool) { x.Match = &yes }

// closed fills in a guest whose memory could not be read.
func (x *exam) closed(err error) {
	g := x.Guest
	why, change := oneLine(err), ""
	switch a := x.opt.Host.Proc.Access(&g.Process); {
	case a.Fix != "":
		// Whatever else was in the way, this comes first.
		change = a.Fix
		if !a.Read {
			why = a.Why
		}
	case errors.Is(err, ukdbg.ErrUsage):
		change = giveImage // without a monitor only the image tells where RAM lies
	}
	for _, name := range []string{Memory, Registers, Trace, Threads, NoStop, Perf} {
		x.power(name).no(why, change)
	}
	if !x.dumpByStub() {
		x.power(Dump).no(why, change)
	}
	if w, ok := x.monitor(); ok {
		x.power(Registers).ready("by the monitor " + w.Path + ", though memory cannot be read")
	}
}

// tryRegisters reads every processor's.
func (x *exam) tryRegisters(ctx context.Context, s *ukdbg.Session, change string) {
	p := x.power(Registers)
	for _, cpu := range s.CPUs() {
		if _, err := s.Registers(ctx, cpu); err != nil {
			p.no(oneLine(err), change)
			return
		}
	}
	if len(s.CPUs()) == 0 {
		p.no("no processor is known: "+x.monitorNote(), change)
		return
	}
	how := "of " + count(len(s.CPUs()), "processor")
	if w, ok := x.monitor(); ok {
		how += " by the monitor " + w.Path
		if x.Guest.Accel == "kvm" {
			how += "; each reading makes each vCPU leave the guest once"
		}
	}
	p.works(how)
}

// tryPerf asks whether the host's kernel would sample the processors.
func (x *exam) tryPerf(ctx context.Context, s *ukdbg.Session) {
	event, err := s.PerfEvent(ctx)
	var no *ukdbg.SourceError
	var denied *perfevent.DeniedError
	switch {
	case errors.As(err, &denied):
		x.power(Perf).no(denied.Why, denied.Change)
	case errors.As(err, &no):
		x.power(Perf).no(oneLine(no.Err), no.Change)
	case err != nil:
		x.power(Perf).no(oneLine(err), "")
	case event == perfevent.Cycles:
		x.power(Perf).ready("the host's kernel samples the guest by its cycles, without a stop, callers unknown")
	default:
		x.power(Perf).ready("the host's kernel samples the guest by a timer (no counter of cycles here), callers unknown; how much of the guest it sees shows when it does")
	}
}

// tryKernel walks what the image knows the guest to have.
func (x *exam) tryKernel(ctx context.Context, s *ukdbg.Session) {
	if p := x.power(Threads); x.allows(p) {
		list, err := s.Threads(ctx)
		switch {
		case err != nil:
			p.no(oneLine(err), "")
		case s.NoKernel() != "":
			p.no(s.NoKernel(), enableDebug)
		default:
			p.works(count(len(list), "thread"))
		}
	}
	if p := x.power(Trace); x.allows(p) {
		t, err := s.Trace(ctx)
		if err != nil {
			p.no(oneLine(err), "")
		} else {
			p.works(fmt.Sprintf("%s, %s in the buffer", count(len(t.Guest.Definitions.All), "tracepoint"), count(len(t.Snapshot.Data), "byte")))
		}
	}
}

// allows fills p in where the image lacks what the power needs.
func (x *exam) allows(p *Power) bool {
	why, change := x.im.lacks(p.Name)
	if !x.im.open && x.ImageNote != "" {
		why = x.ImageNote
	}
	if why != "" {
		p.no(why, change)
	}
	return why == ""
}

// stub looks at the stubs of the command line, and whether the monitor can open
// one. None is connected to.
func (x *exam) stub(ctx context.Context) {
	g, p := x.Guest, x.power(Breakpoints)
	var busy []string
	used := false // a second stub would end the session of who uses the first
	for _, w := range g.Ways {
		if w.Kind != hosts.Stub {
			continue
		}
		if !w.Open {
			busy = append(busy, w.Spec+": "+w.Note)
			used = used || w.Used
			continue
		}
		if g.Kind == vmm.Firecracker {
			p.no("Firecracker ends the VM when a debugger leaves its stub", "")
			return
		}
		p.ready(w.Spec + " listens; not tried: connecting stops the guest")
		return
	}
	if w, ok := x.monitor(); ok && !used {
		if err := knows(ctx, w, "gdbserver"); err != nil {
			p.no(oneLine(err), enableStub)
			return
		}
		p.ready("the monitor " + w.Path + " can open a stub; not tried: it would stop the guest")
		return
	}
	switch {
	case len(busy) > 0:
		p.no(strings.Join(busy, "; "), "end that session: a stub serves one at a time")
	case g.Kind == vmm.Firecracker:
		p.no("Firecracker has no stub that outlives its debugger", "")
	default:
		p.no("the VMM has no GDB stub, and "+x.monitorNote(), x.monitorOr(enableStub))
	}
}

// dump tells how ukdbg itself would write a dump of a guest whose memory it reads.
func (x *exam) dump() {
	p := x.power(Dump)
	if w, ok := x.monitor(); ok {
		p.ready("memory is read while the guest runs, or of one instant with --pause, by the monitor " + w.Path + "; not tried")
		return
	}
	how := "memory is read while the guest runs, so of no one instant and without registers (" + x.monitorNote() + ")"
	if w, ok := x.Guest.Way(hosts.Stub); ok && x.Guest.Kind != vmm.Firecracker {
		how += "; of one instant through the stub " + w.Spec
	}
	p.ready(how + "; not tried")
}

// dumpByStub is the dump of a guest whose memory cannot be read beside it.
func (x *exam) dumpByStub() bool {
	if x.Guest.Kind == vmm.Firecracker {
		return false
	}
	w, ok := x.Guest.Way(hosts.Stub)
	if ok {
		x.power(Dump).ready("through the stub " + w.Spec + "; not tried: the guest stands while it is read")
	}
	return ok
}

// knows asks a monitor whether it has a command.
func knows(ctx context.Context, w hosts.Way, command string) error {
	return qmp.Monitor{Path: w.Path}.Do(ctx, func(c *qmp.Conn) error {
		text, err := c.HMP(ctx, "help "+command)
		if err == nil && !strings.Contains(text, command) {
			err = fmt.Errorf("the monitor %s has no %s", w.Path, command)
		}
		return err
	})
}

// monitor is the guest's monitor, if it may be used.
func (x *exam) monitor() (hosts.Way, bool) {
	if x.Guest == nil {
		return hosts.Way{}, false
	}
	return x.Guest.Way(hosts.Monitor)
}

// monitorNote says why there is no monitor to use.
func (x *exam) monitorNote() string {
	if x.Guest == nil {
		return "no monitor"
	}
	if x.Guest.Kind == vmm.Firecracker {
		return "Firecracker has no monitor"
	}
	var notes []string
	for _, w := range x.Guest.Ways {
		if w.Kind == hosts.Monitor && !w.Open {
			notes = append(notes, w.Note)
		}
	}
	if len(notes) == 0 {
		return "no monitor"
	}
	return "no monitor that may be used: " + strings.Join(notes, "; ")
}

// monitorChange is what would give this guest a monitor.
func (x *exam) monitorChange() string { return x.monitorOr(enableMonitor) }

func (x *exam) monitorOr(change string) string {
	switch {
	case x.Guest == nil || x.Guest.Kind == vmm.Firecracker:
		return ""
	case x.Guest.Manager == vmm.Libvirt:
		return libvirtMonitor
	}
	for _, w := range x.Guest.Ways {
		switch {
		case w.Kind != hosts.Monitor || w.Open || w.Owner != vmm.Unmanaged:
		case strings.HasPrefix(w.Note, "in use"):
			return "end what uses the monitor, or " + change
		case strings.HasPrefix(w.Note, "no permission"):
			return fmt.Sprintf("run as that user: sudo -u '#%d' ukdbg …", x.Guest.UID)
		}
	}
	return change
}

// count is "1 thread" or "7 threads".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
