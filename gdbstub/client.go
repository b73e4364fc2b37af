package gdbstub

import (
	"context"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Client is a connection to a stub. It is made by Dial.
type Client struct {
	spec target.Spec
	opt  Options
	link link
	// direct is the link where its reader need not be a goroutine of its own, nil
	// otherwise. own is what the owner of an exchange reads into.
	direct direct
	own    []byte
	// listens: the link tells what it is about to return.
	listens bool
	// partly: of what was heeded, the last packet is not whole; the reading
	// goroutine's.
	partly bool
	// adopted: another process attached, see Adopt.
	adopted bool

	// op serialises the public methods. What it guards is the owner's alone;
	// the reading goroutine never touches it.
	op       sync.Mutex
	prof     profile
	layout   layout
	arch     *arch.Arch
	threads  []threadID // by CPU number
	selected int        // CPU whose registers g and p mean, -1 if not known

	epoch    uint64 // of the stop the owner has seen
	listed   uint64 // the epoch threads were listed in
	breaks   []inserted
	changes  []change  // temporary ones, oldest first
	chunk    int       // largest m known to be worth trying, in bytes
	chunkOK  int       // largest m that succeeded
	began    time.Time // the guest may stand since then
	farewell *target.Farewell
	kvm      bool // the guest runs under KVM, if askedKVM
	askedKVM bool
	undone   bool // Leave has put everything back
	reached  bool // the stub has answered
	decided  bool // it is known how the guest was found
	// ranBefore is what Options.RanBefore said.
	ranBefore RunState
	spare     []*call // calls to use again
	payload   []byte
	reading   reader
	foresight foresight
	ahead     ahead
	timer     *time.Timer

	// rmu is held while a direct link is read; it is taken before mu.
	rmu  sync.Mutex
	turn turn

	// mu guards what the reading goroutine shares with the owner.
	mu      sync.Mutex
	rd      packet.Reader
	pending []*call // in flight, in order of their replies
	wake    chan struct{}
	ended   chan struct{} // closed when nothing is read any more
	lastRx  time.Time
	err     error // why the link is gone
	ack     bool  // each packet is acknowledged
	acked   bool  // the last thing the stub said was an acknowledgement
	run     runControl
	sync    resync
	cap     pauseCap
	greeted []byte // the first answer to qSupported, while attaching
	stats   Stats
	lastOut []byte // for retransmission while acks are on
	retries int
	poked   bool // a request to stop was sent while attaching

	// wmu serialises writes; it is taken after mu, never before.
	wmu    sync.Mutex
	wbuf   []byte
	events *eventQueue
}

// compile-time proof of the powers a Client has.
var (
	_ target.Memory          = (*Client)(nil)
	_ target.ManyReader      = (*Client)(nil)
	_ target.MemoryWriter    = (*Client)(nil)
	_ target.PhysicalMemory  = (*Client)(nil)
	_ target.RegisterReader  = (*Client)(nil)
	_ target.RegisterWriter  = (*Client)(nil)
	_ target.SystemRegisters = (*Client)(nil)
	_ target.CPULister       = (*Client)(nil)
	_ target.Controller      = (*Client)(nil)
	_ target.Breaker         = (*Client)(nil)
	_ target.Monitor         = (*Client)(nil)
	_ target.Leaver          = (*Client)(nil)
)

// Dial connects to the stub spec names and stops the guest. Its errors are
// ErrNotStub, ErrBusy, ErrSilent or those of the connection.
//
// Connecting by itself stops a guest under QEMU. Where that can be seen
// beforehand, a stub that serves somebody else is not connected to.
func Dial(ctx context.Context, spec target.Spec, opt Options) (*Client, error) {
	w, err := Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	return w.Dial(ctx, opt)
}

func newClient(spec target.Spec, opt Options, l link) *Client {
	c := makeClient(spec, opt, l)
	c.turn.owner = c.direct != nil // it asks at once
	go c.readLoop()
	return c
}

// makeClient makes a client that does not read yet.
func makeClient(spec target.Spec, opt Options, l link) *Client {
	if spec.Scheme == target.Serial && opt.AttachTimeout == attachPatience {
		// QEMU looks once a second whether somebody has opened its pty.
		opt.AttachTimeout += 2 * time.Second
	}
	c := &Client{
		spec: spec, opt: opt, link: l, selected: -1,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), lastRx: time.Now(), ack: true,
		events: newEventQueue(), timer: time.NewTimer(time.Hour), began: time.Now(),
	}
	c.direct, _ = l.(direct)
	c.turn.over = make(chan struct{}, 1)
	c.run.attaching, c.run.greeting = true, true
	if opt.Journal != nil {
		if s, ok := l.(listener); ok {
			s.listen(c.heeds, c.heard)
			c.listens = true
		}
	}
	return c
}

// Spec is the address the client was dialled with.
func (c *Client) Spec() target.Spec { return c.spec }

// Arch is the architecture the stub's target description names, else that of
// Options; nil if neither tells.
func (c *Client) Arch() *arch.Arch { return c.arch }

// FoundRunning reports whether the guest ran before Dial. known is false if
// the stub gives no sign of it.
func (c *Client) FoundRunning() (running, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run.found == RunRunning, c.run.found != RunUnknown
}

// Close drops the connection and restores nothing: under QEMU a stopped guest
// stays stopped with our breakpoints in it. Leave is the way to go.
func (c *Client) Close() error {
	c.op.Lock()
	defer c.op.Unlock()
	return c.shut()
}

// shut ends the link and the events; a second call does nothing.
func (c *Client) shut() error {
	c.mu.Lock()
	if c.err == nil {
		c.err = ErrLeft
	}
	c.mu.Unlock()
	if c.opt.Release != nil {
		c.opt.Release()
	}
	err := c.link.Close()
	c.handBack()
	c.events.close()
	return err
}

// giveBack leaves a guest whose attachment failed when it was all but there.
func (c *Client) giveBack() bool {
	if !c.reached || !c.decided {
		return false
	}
	c.mu.Lock()
	c.attached()
	c.mu.Unlock()
	_, err := c.Leave(context.Background())
	return err == nil
}

// halts reports whether the connection has stopped the guest, perhaps.
func (c *Client) halts() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached || c.run.hasStop
}

// giveUp closes a connection that did not become an attachment. If the stub
// was silent because it serves somebody else, QEMU adopts our connection later,
// dead as it is, and stops the guest; the detach left behind in the stream
// makes it run again at once. (It also makes a guest run that the other session
// left paused. Of the two harms a production guest stopped for good is the
// greater; waitFree avoids both where the stub is on this host.)
func (c *Client) giveUp() {
	if c.giveBack() {
		return
	}
	if c.spec.Scheme == target.TCP || c.spec.Scheme == target.Unix {
		c.mu.Lock()
		silent := c.stats.BytesIn == 0
		c.mu.Unlock()
		// Not to a server that took the connection: what it is, is not known.
		if p := peers(c.spec); silent && (p.queued > 0 || p.served == 0) {
			_ = c.write(packet.AppendString(nil, "D;1")) // the link is given up anyhow
		}
	}
	_ = c.shut() // the caller has an error that says more
}
