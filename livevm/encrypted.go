//go:build linux

package livevm

import (
	"context"
	"errors"
	"strings"

	"github.com/ukdbg/ukdbg/qmp"
)

// isEncrypted asks a monitor whether the guest's memory is encrypted (AMD SEV),
// whatever the VMM's command line says: QMP's query-sev, or HMP's info sev. A VMM
// that does not know the question has no such guest. "" is no.
func isEncrypted(ctx context.Context, c *qmp.Conn) (string, error) {
	if c.Proto() == qmp.HMP {
		// "SEV is enabled", or "SEV is not enabled", or "unknown command: …"
		// (target/i386/sev.c, hmp_info_sev).
		text, err := c.HMP(ctx, "info sev")
		if err != nil || !strings.Contains(text, "state: ") {
			return "", err
		}
		return "the monitor's info sev says it is", nil
	}
	var sev struct{ Enabled bool }
	err := c.Execute(ctx, "query-sev", nil, &sev)
	var refused *qmp.CommandError
	switch {
	case errors.As(err, &refused):
		return "", nil
	case err != nil:
		return "", err
	case sev.Enabled:
		return "the monitor's query-sev says it is", nil
	}
	return "", nil
}
