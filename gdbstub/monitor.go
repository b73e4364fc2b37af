package gdbstub

import (
	"context"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
)

// Monitor runs a command of the stub's own (QEMU: of its human monitor) and
// returns what it printed. A command that lets the guest run shows as
// EventResumed at the next request.
func (c *Client) Monitor(ctx context.Context, command string) (string, error) {
	if err := c.enter(ctx); err != nil {
		return "", err
	}
	defer c.op.Unlock()
	if !strings.HasPrefix(command, "info ") {
		if err := c.mayChange(); err != nil {
			return "", err // who knows what it does
		}
	}
	a := monitorAsk(command)
	if err := c.exchange(ctx, &a); err != nil {
		return "", fmt.Errorf("monitor command %q: %w", command, err)
	}
	if err := a.call.refused("qRcmd"); err != nil {
		return "", fmt.Errorf("monitor command %q: %w", command, err)
	}
	return string(a.call.raw), nil
}

func monitorAsk(command string) ask {
	return ask{text: string(packet.AppendHex([]byte("qRcmd,"), []byte(command))), kind: replyMonitor}
}
