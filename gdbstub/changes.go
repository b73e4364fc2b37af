package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// change is a temporary change: what memory or a register held before.
type change struct {
	memory   *journal.Memory
	register *journal.Register
}

// maxChange is how much memory one journal entry holds, in bytes.
const maxChange = 16 << 10

// mayChange is ErrReadOnly if nothing may be changed.
func (c *Client) mayChange() error {
	if c.opt.ReadOnly {
		return ErrReadOnly
	}
	return nil
}

// noteMemory journals a write that is about to happen.
func (c *Client) noteMemory(ctx context.Context, addr uint64, n int) error {
	if err := c.mayChange(); err != nil {
		return err
	}
	if !c.opt.Temporary {
		return c.opt.Journal.Append(journal.Kept{Addr: addr, Len: n})
	}
	for n > 0 {
		m := journal.Memory{Addr: addr, Old: make([]byte, min(n, maxChange))}
		r := [1]target.Range{{Addr: addr, Data: m.Old}}
		if err := c.readRanges(ctx, r[:]); err != nil {
			return err
		}
		if r[0].Err != nil {
			return fmt.Errorf("what is there now must be read first: %w", r[0].Err)
		}
		c.mask(m.Old, addr)
		if err := c.opt.Journal.Append(journal.MemoryChanged{Memory: m}); err != nil {
			return err
		}
		c.changes = append(c.changes, change{memory: &m})
		addr, n = addr+uint64(len(m.Old)), n-len(m.Old)
	}
	return nil
}

// noteRegister journals the change of a register that is about to happen.
func (c *Client) noteRegister(ctx context.Context, cpu target.CPU, num int) error {
	if err := c.mayChange(); err != nil || !c.opt.Temporary {
		return err
	}
	regs, err := c.readRegisters(ctx, cpu)
	if err != nil {
		return err
	}
	old, ok := regs.Get(num)
	if !ok {
		return errors.New("what the register holds now is not known, so it could not be put back")
	}
	r := journal.Register{CPU: int(cpu), Num: num, Old: old}
	if err := c.opt.Journal.Append(journal.RegisterChanged{Register: r}); err != nil {
		return err
	}
	c.changes = append(c.changes, change{register: &r})
	return nil
}

// undoChanges puts back what was changed temporarily, the newest first.
func (c *Client) undoChanges(ctx context.Context) (notes []string) {
	for n := len(c.changes); n > 0; n = len(c.changes) {
		var err error
		switch ch := c.changes[n-1]; {
		case ch.memory != nil:
			if err = c.writeAround(ctx, ch.memory.Old, ch.memory.Addr); err == nil {
				c.journal(journal.MemoryBack{})
			} else {
				err = fmt.Errorf("memory at %#x could not be put back: %w", ch.memory.Addr, err)
			}
		case ch.register != nil:
			if err = c.writeRegister(ctx, target.CPU(ch.register.CPU), ch.register.Num, ch.register.Old); err == nil {
				c.journal(journal.RegisterBack{})
			} else {
				err = fmt.Errorf("a register of CPU %d could not be put back: %w", ch.register.CPU, err)
			}
		}
		if err != nil {
			return append(notes, err.Error())
		}
		c.changes = c.changes[:n-1]
	}
	return notes
}

// clean reports whether nothing of ours is in the guest.
func (c *Client) clean() bool { return len(c.breaks) == 0 && len(c.changes) == 0 }

// otherwisePaused asks QEMU why the stopped VM is stopped and returns its words
// if that is none of our stops: before the first start, migration, saving, an
// error, a shutdown. Our own are "paused" and "paused (debug)".
func (c *Client) otherwisePaused(ctx context.Context) string {
	if s := c.pauseReason(ctx); s != "debug" {
		return s
	}
	return ""
}

// pausedForDebug reports whether QEMU says that a breakpoint, watchpoint or step
// stopped the VM.
func (c *Client) pausedForDebug(ctx context.Context) bool { return c.pauseReason(ctx) == "debug" }

// pauseReason is QEMU's word in "paused (debug)", "" for a plain pause.
func (c *Client) pauseReason(ctx context.Context) string {
	a := monitorAsk("info status")
	if err := c.exchange(ctx, &a); err != nil || a.call.refused("qRcmd") != nil {
		return "" // a QEMU without it: what is known must do
	}
	_, word, ok := strings.Cut(string(a.call.raw), "paused (")
	word, _, whole := strings.Cut(word, ")")
	if !ok || !whole {
		return ""
	}
	return word[:min(len(word), 40)]
}
