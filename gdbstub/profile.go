package gdbstub

import (
	"fmt"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
)

// profile is what is special about a stub.
type profile struct {
	// name is what people call it.
	name string
	// qemu: QEMU's stub. It takes '$' for an acknowledgement, so '+' need
	// never be sent, and '+' would stop a running guest.
	qemu bool
	// inImage: a stub inside the guest, as Unikraft's, that answers only while
	// the guest is in a trap of its own.
	inImage bool
	// pipelining: several requests may be in flight.
	pipelining bool
	// foreign: somebody else can run and stop the guest behind the stub.
	foreign bool
	// exactInterrupt: an interrupt is told as SIGINT, never as SIGTRAP.
	exactInterrupt bool
	// hearsInterrupt: an in-image stub has stopped on request.
	hearsInterrupt bool
	vCont          bool
	noThreads      bool
	// patches: the stub knows no Z0, so breakpoints are patched into text.
	patches bool
	// noP: the stub knows no P, so registers are written by G.
	noP bool
	// interrupt is what asks for a stop.
	interrupt []byte
	// question has an answer that begins with answer and that no other packet
	// is answered with.
	question, answer string
	version          qemuVersion
}

// qemuVersion is a QEMU release; the zero value is not known.
type qemuVersion struct{ major, minor int }

// tellsFoundRunning reports whether a QEMU sends the stop reply nobody asked
// for when a client connects to a running guest. 8.1 and later do not
// (commit "gdbstub: only send stop-reply packets when allowed to").
func (v qemuVersion) tellsFoundRunning() bool {
	return v.major > 0 && (v.major < 8 || v.major == 8 && v.minor < 1)
}

// plainProfile is a stub of which nothing is known.
func plainProfile() profile {
	return profile{name: "GDB stub", interrupt: []byte{packet.Interrupt}}
}

// becomeQEMU makes p the profile of QEMU's stub.
func (p *profile) becomeQEMU() {
	p.name = "QEMU"
	p.qemu, p.pipelining, p.foreign, p.exactInterrupt, p.vCont = true, true, true, true, true
	// While a reply is not acknowledged QEMU takes any byte but '+' and '$'
	// for line noise. The '+' acknowledges, if one is due; else it is the
	// byte that stops the guest.
	p.interrupt = []byte{'+', packet.Interrupt}
	p.question, p.answer = isQEMU, qemuSays
}

// Capabilities are what a stub can do, as far as it was found out.
type Capabilities struct {
	// Stub names the stub.
	Stub string
	// CanInterrupt: a running guest stops on request; WhyNot says why not.
	CanInterrupt bool
	WhyNot       string
	// InImage: the stub is part of the guest and runs only in its traps.
	InImage bool
	// PatchesText: software breakpoints are patched into the guest's text.
	PatchesText bool
	// Physical: Physical returns a Memory.
	Physical bool
	// Monitor: the stub has commands of its own, as far as is known.
	Monitor bool
	// Foreign: another door exists through which the guest can be run and
	// stopped (QEMU's monitor); such a run shows as EventResumed.
	Foreign bool
	// Pipelining: several requests are in flight at once.
	Pipelining bool
	// MemoryChunk is the largest read of one packet in bytes.
	MemoryChunk int
	// CPUs is the number of processors.
	CPUs int
	// RunStateTold: the stub tells a client whether the guest ran.
	RunStateTold bool
}

// Capabilities tells what the stub can do.
func (c *Client) Capabilities() Capabilities {
	c.op.Lock()
	defer c.op.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.prof
	caps := Capabilities{
		Stub: p.name, CanInterrupt: !p.inImage || p.hearsInterrupt, InImage: p.inImage,
		PatchesText: p.patches, Physical: p.qemu, Monitor: p.qemu, Foreign: p.foreign,
		Pipelining: p.pipelining, MemoryChunk: c.chunk, CPUs: len(c.threads),
		RunStateTold: c.run.found != RunUnknown,
	}
	if !caps.CanInterrupt {
		caps.WhyNot = onlyTraps
	}
	if p.qemu && p.version.major > 0 {
		caps.Stub = fmt.Sprintf("QEMU %d.%d", p.version.major, p.version.minor)
	}
	return caps
}
