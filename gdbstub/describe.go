package gdbstub

import (
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// Describe tells a person what the stub can: name and value.
func (c *Client) Describe() [][2]string {
	caps := c.Capabilities()
	out := [][2]string{{"stub", caps.Stub}, {"interrupt", "yes"}, {"breakpoints", "by the stub"}}
	if !caps.CanInterrupt {
		out[1][1] = "no: " + caps.WhyNot
	}
	if caps.PatchesText {
		out[2][1] = "patched into the guest's text"
	}
	watch, leaving := "if the stub has them", "detach"
	switch {
	case caps.InImage:
		watch, leaving = "no", "breakpoints are taken out and the guest continues; there is no detach"
	case c.prof.qemu:
		watch, leaving = "yes", "as the guest was found: running by detach, paused by closing"
	}
	return append(out,
		[2]string{"watchpoints", watch},
		[2]string{"leaving", leaving},
		[2]string{"memory", fmt.Sprintf("%d bytes a packet", caps.MemoryChunk)},
	)
}

// Limits says in a sentence what a session must do without on this stub, "" if
// nothing.
func (c *Client) Limits() string {
	caps := c.Capabilities()
	switch {
	case !caps.InImage:
		return ""
	case caps.CanInterrupt:
		return "stub inside the guest: breakpoints are patched into its text, there are no watchpoints; left by taking them out and continuing"
	}
	return "stub inside the guest: once it runs it stops only at a breakpoint or a trap, never on ^C; breakpoints are patched into its text, there are no watchpoints; left by taking them out and continuing"
}

// Supports reports whether the stub may have a kind of breakpoint; what it
// refuses for want of room shows at Insert only.
func (c *Client) Supports(k target.BreakKind) error {
	if k == target.BreakSoftware || !c.Capabilities().InImage {
		return nil
	}
	return fmt.Errorf("%w: the stub inside the guest has no %ss; it only traps at patched instructions, so set a breakpoint where the datum is used",
		target.ErrUnsupported, kindName(k))
}
