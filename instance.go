package ukdbg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
	"github.com/ukdbg/ukdbg/vmm"
)

// vmmIdentity is the Instance of the VMM that runs the guest, "" where it is not on
// this host or cannot be told.
func (s *Session) vmmIdentity(ctx context.Context) string {
	p, ok := s.vmmProcess(ctx)
	if !ok {
		return ""
	}
	return Instance(&p)
}

// Instance names the run of a guest that a VMM's process is. It is made of the VM's
// UUID and of the process, since a guest that is started again begins its clock
// anew: the same in all that is exported of it, and another than that of any clone.
// It is "" where the host does not tell its boot.
func Instance(p *vmm.Process) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%d", p.UUID, boot, p.PID, p.StartTime))
	return hex.EncodeToString(sum[:16])
}

// vmmProcess is the VMM that runs the guest, if it is on this host and can be told.
func (s *Session) vmmProcess(ctx context.Context) (p vmm.Process, ok bool) {
	return processAt(ctx, s.spec)
}

// processAt is the VMM at the end of a way that has no name, if it is on this host
// and can be told.
func processAt(ctx context.Context, spec target.Spec) (p vmm.Process, ok bool) {
	var found []vmm.Process
	switch spec.Scheme {
	case target.PID:
		if pid, err := strconv.Atoi(spec.Addr); err == nil {
			if p, err := vmm.ByPID(pid); err == nil {
				found = append(found, p)
			}
		}
	case target.TCP:
		host, _, err := net.SplitHostPort(spec.Addr)
		if ip := net.ParseIP(host); err != nil || host != "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return p, false
		}
		fallthrough
	case target.Unix, target.QMP:
		// Who may not look learns nothing, which is no failure here.
		found, _ = vmm.ByListener(ctx, strings.Replace(spec.String(), "qmp:", "unix:", 1))
	}
	if len(found) != 1 {
		return p, false
	}
	return found[0], true
}

// VMM is the process that runs the session's guest; ok is false where that is not on
// this host, or not to be seen.
func (s *Session) VMM(ctx context.Context) (p vmm.Process, ok bool) { return processAt(ctx, s.spec) }

// fileInstance names the guest run of a file that does not: the same records of
// the same image are the same run.
func fileInstance(g *stream.Guest, records []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%x", g.Image, g.ImageHash, records[:min(64, len(records))])
	return hex.EncodeToString(h.Sum(nil)[:16])
}
