package guard

import (
	"context"
	"strings"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// findVMM finds the process behind a stub, or behind the monitor a person
// named. What cannot be found is zero.
func findVMM(ctx context.Context, spec, monitor string) journal.VMM {
	var v journal.VMM
	for _, addr := range []string{spec, "unix:" + monitor} {
		if !strings.HasPrefix(addr, string(target.TCP)+":") && !strings.HasPrefix(addr, string(target.Unix)+":") || addr == "unix:" {
			continue
		}
		list, err := vmm.ByListener(ctx, addr)
		if err != nil {
			continue
		}
		// A proxy may listen beside the VMM, or be all there is.
		for _, p := range list {
			if p.Kind != vmm.Other {
				v = describe(p)
				break
			}
		}
		if v.PID != 0 {
			break
		}
	}
	if monitor != "" {
		v.Monitors = append([]journal.Monitor{{Path: monitor}}, v.Monitors...)
	}
	return v
}

func describe(p vmm.Process) journal.VMM {
	v := journal.VMM{
		Process: journal.Process{PID: p.PID, Start: p.StartTime},
		Comm:    p.Comm, Name: p.Name, UUID: p.UUID, GDB: p.GDBListen,
	}
	for _, m := range p.Usable() {
		v.Monitors = append(v.Monitors, journal.Monitor{Path: m.Path, Proto: string(m.Proto)})
	}
	return v
}
