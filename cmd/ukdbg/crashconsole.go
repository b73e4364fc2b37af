package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/console"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/hosts"
)

// mostConsole is how much of the end of a console's file is read for the report of
// the crash the guest stands in.
const mostConsole = 64 << 20

// withConsole has the console's text tell what the machine shows no more: where the VMM
// writes the guest's serial port to a file of this host, its last report gives the
// words of an assertion or a crash, and the first of two faults of which one was in the
// handler of the other; unless it contradicts the machine. rep is what is told otherwise.
func withConsole(ctx context.Context, e env, s *ukdbg.Session, rep ukdbg.FaultReport) ukdbg.FaultReport {
	p, ok := s.VMM(ctx)
	if !ok {
		return rep
	}
	src, err := console.Find(&hosts.Guest{Process: p})
	if err != nil {
		return rep // it has none that is a file, or not one of its own
	}
	f, err := os.OpenFile(src.Path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return rep
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return rep
	}
	if _, err := f.Seek(max(0, st.Size()-mostConsole), io.SeekStart); err != nil {
		return rep
	}
	told, err := s.JoinFault(ctx, io.LimitReader(f, mostConsole))
	if err != nil || told.Fault.Source.Format == asserts.MachineFormat {
		return rep
	}
	words := rep.Fault.Kind == asserts.Assertion || rep.Fault.Kind == asserts.ExplicitCrash
	if same := told.Fault.Kind == rep.Fault.Kind && told.Fault.Subkind == rep.Fault.Subkind; same && !words {
		return rep // and it knows what was not printed
	}
	fmt.Fprintf(e.err, "with what its console says in %s\n", src.Path)
	return told
}
