package gdbstub

import (
	"errors"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// claim tells whether a stop that is asked for together with more is ours. QEMU tells
// an operator's "stop" by the same stop reply as ours, and forgets a request to stop
// that finds the guest stopped already.
//
// Any byte stops a guest that runs, and is used up by that. The one sent here is '$': if
// the guest stands already it begins a packet, that of the first request then has one
// '$' too many, and QEMU's answer is '-'. So the first thing said behind the request
// settles it: '+' our byte stopped the guest, '-' it stood before.
type claim uint8

const (
	claimNone claim = iota
	claimOpen       // asked for, and not settled
	claimLost       // the guest stood because of somebody else
)

// claiming is the byte that asks for the stop.
const claiming = '$'

// errSpoiled ends the request that a stop of somebody else's spoiled.
var errSpoiled = errors.New("the guest stood before it was asked to")

// claimed takes the acknowledgement of the first request; mu is held.
func (c *Client) claimed() {
	if c.run.claim != claimOpen {
		return
	}
	c.run.claim = claimNone
	if !c.run.interrupted.IsZero() {
		// A QEMU that does not tell of this stop.
		c.stopped(stopReply{kind: 'T', signal: sigInt})
	}
}

// disclaim takes the refusal of the first request; mu is held.
func (c *Client) disclaim() {
	if c.run.claim != claimOpen {
		return
	}
	c.run.claim = claimLost
	c.finishHead(func(cl *call) { cl.err = errSpoiled })
	c.signal()
	if !c.run.interrupted.IsZero() {
		// Not told at all, as while a snapshot is taken.
		glimpse := c.run.glimpse
		c.run.leaveRunning = false
		c.halt(time.Now(), false)
		c.event(target.Event{Kind: target.EventStopped, Stop: target.Stop{Reason: target.StopForeign}})
		if glimpse {
			c.glimpsed(false)
		}
		return
	}
	if c.run.reason != target.StopInterrupt {
		return // told as what it is
	}
	// It was taken for ours.
	c.run.leaveRunning = false
	c.stats.Stops--
	if c.run.running {
		c.run.undone = true
		return
	}
	c.run.foreign, c.run.stoppedSince = true, time.Time{}
	c.over()
	c.journal(journal.Stopped{LeaveRunning: false})
}
