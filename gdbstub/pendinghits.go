package gdbstub

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// A processor of QEMU's notes a watchpoint it hits (CPUState.watchpoint_hit in its
// source) and forgets it when its stop is told. If a request to stop or another
// processor stops the VM in that moment it is not told, and the note stays. Once the
// watchpoint is taken out, the note points to memory that was freed: the next
// breakpoint or step of that processor is told as a watchpoint or, by what the memory
// holds by then, handed to the guest as an exception of its own, which kills it.
//
// What is stepped has its note told. So each processor that may have one is stepped
// before watchpoints are taken out. A step that hits a watchpoint leaves something
// itself: the stop is asked for twice (CPU_INTERRUPT_DEBUG), for the hit and for the
// step, and the second comes when the processor next runs, which would stop a guest
// that was left. So it is stepped until a step ends without a hit.

const (
	// stepPatience is how long such a step may take. One onto an instruction that waits
	// for an interrupt does not end, and has told nothing that is to be told.
	stepPatience = 20 * time.Millisecond
	// maxSteps is how many leave nothing: the second begins with what the first left.
	maxSteps = 2
)

// pendingHits are the processors that may have noted a hit; Client.mu guards it.
type pendingHits struct {
	watches int    // watchpoints in the guest
	may     []bool // by CPU number
}

// ran: the guest was let run, by actions, n processors in all.
func (h *pendingHits) ran(actions []target.Action, n int) {
	if h.watches == 0 {
		return
	}
	for len(h.may) < n {
		h.may = append(h.may, false)
	}
	for _, a := range actions {
		for cpu := range h.may {
			h.may[cpu] = h.may[cpu] || a.CPU == target.AllCPUs || int(a.CPU) == cpu
		}
	}
}

// told: the stop of a processor was told, with what that one had noted, and no other
// will be.
func (h *pendingHits) told(cpu target.CPU) {
	if int(cpu) < len(h.may) {
		h.may[cpu] = false
	}
}

// tellHits has the processors of the stopped guest tell, to nobody, what they may have
// hit. It does what it can: one that waits for an interrupt cannot be stepped, and a
// guest that somebody else stopped is not.
func (c *Client) tellHits(ctx context.Context) {
	var cpus []target.CPU
	c.mu.Lock()
	for cpu, may := range c.run.hits.may {
		if may && cpu < len(c.threads) && !c.run.foreign {
			cpus = append(cpus, target.CPU(cpu))
		}
	}
	c.mu.Unlock()
	if len(cpus) == 0 || !c.prof.qemu || c.underKVM(ctx) {
		return
	}
	for _, cpu := range c.awake(ctx, cpus) {
		for range maxSteps {
			ended, err := c.stepUntold(ctx, cpu)
			if err != nil {
				return // what is asked next fails as well, and says so
			}
			if !ended || c.allTold(cpu) {
				break
			}
		}
	}
}

// allTold reports whether a processor has nothing more to tell.
func (c *Client) allTold(cpu target.CPU) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.run.hits.may[cpu]
}

// underKVM reports whether the processor itself watches: QEMU notes nothing then that
// is ever freed.
func (c *Client) underKVM(ctx context.Context) bool {
	if !c.askedKVM {
		a := monitorAsk("info kvm")
		c.askedKVM = c.exchange(ctx, &a) == nil
		c.kvm = c.askedKVM && bytes.Contains(a.call.raw, []byte("enabled"))
	}
	return c.kvm
}

// awake are those of cpus that do not wait for an interrupt, as QEMU says
// ("CPU#1 [halted ]").
func (c *Client) awake(ctx context.Context, cpus []target.CPU) (list []target.CPU) {
	var a asks
	for _, cpu := range cpus {
		a.list = append(a.list, ask{text: "qThreadExtraInfo," + c.threads[cpu].String()})
	}
	if c.exchange(ctx, &a) != nil {
		return nil
	}
	halted := []byte(hex.EncodeToString([]byte("[halted")))
	for i, cpu := range cpus {
		if !bytes.Contains(a.list[i].call.raw, halted) {
			list = append(list, cpu)
		}
	}
	return list
}

// stepUntold takes one processor an instruction further and reports whether it got
// there. The stop is no event.
func (c *Client) stepUntold(ctx context.Context, cpu target.CPU) (ended bool, err error) {
	c.setUntold(true)
	defer c.setUntold(false)
	if err := c.resume(ctx, []target.Action{{CPU: cpu, Step: true}}); err != nil {
		return false, err
	}
	patient, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	ended = c.stands(patient) == nil
	if !ended {
		if err := c.halted(ctx); err != nil {
			return false, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// As when a method begins: it is another stop.
	c.epoch, c.selected = c.run.epoch, -1
	switch {
	case c.err != nil:
		return ended, c.err
	case c.run.exited:
		return ended, target.ErrLost
	case c.run.foreign:
		return ended, errForeign
	}
	return ended, nil
}

// errForeign: somebody else has stopped the guest, which therefore stays as it is.
var errForeign = errors.New("the guest was stopped by somebody else")

// foreignStop reports whether somebody else has stopped the guest that we let run.
func (c *Client) foreignStop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run.foreign
}

func (c *Client) setUntold(on bool) {
	c.mu.Lock()
	c.run.untold = on
	c.mu.Unlock()
}

// tellOldHits is tellHits for what a dead attachment has left in the guest, before the
// "?" at which QEMU takes its watchpoints out. Nothing is known yet of the guest but
// that it stands.
func (c *Client) tellOldHits(ctx context.Context) error {
	st := c.opt.Orphan
	watches := 0
	for _, b := range st.Breaks {
		if target.BreakKind(b.Kind).IsWatch() {
			watches++
		}
	}
	if watches == 0 {
		return nil
	}
	if err := c.refreshThreads(ctx); err != nil {
		return err
	}
	// The stop was that one's, or is ours.
	ours := st.LeaveRunning && (!st.Running || !st.Sure || st.Stepping || st.Interrupted)
	c.mu.Lock()
	ours = ours || c.run.toldRunning
	c.mu.Unlock()
	if !ours && !c.pausedForDebug(ctx) {
		return nil
	}
	c.mu.Lock()
	c.run.leaveRunning = st.LeaveRunning // the journal is told so again
	c.run.hits.watches = watches
	c.run.hits.ran([]target.Action{{CPU: target.AllCPUs}}, len(c.threads))
	c.mu.Unlock()
	c.tellHits(ctx)
	c.mu.Lock()
	c.run.hits = pendingHits{}
	c.mu.Unlock()
	return nil
}
