package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/expr"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// live is what a running guest must be able to do to be debugged.
type live interface {
	target.Memory
	target.MemoryWriter
	target.RegisterReader
	target.RegisterWriter
	target.CPULister
	target.Controller
	target.Breaker
	target.Leaver
}

// machine is what any guest, alive or dead, can be asked.
type machine interface {
	target.Memory
	target.RegisterReader
	target.CPULister
}

// Session is a guest with its image and its kernel. It is used from one
// goroutine.
type Session struct {
	opt Options
	// asked is the target's address as it was given, spec the way there.
	asked, spec target.Spec

	machine *processors    // the target; registers are remembered for an epoch
	dump    *corefile.Dump // nil for what is no dump
	logged  *asserts.Fault // what the console said of a dump's crash, nil if it was not given
	live    live           // nil for a dump, and while observing
	// observer and view are nil unless a running VM is observed without a stop.
	observer observer
	view     *view
	settling bool   // in settle
	torn     string // what settle could not read at one moment, "" if nothing
	ran      bool   // a processor ran on while settle read
	// past is what earlier times under control have cost an observed guest.
	past    target.Farewell
	stops   stopLedger // of a stub's guest that runs but for samples
	mem     memory
	arch    *arch.Arch
	cpus    []target.CPU
	stopCPU target.CPU

	opened      *openedImage      // nil without an image
	image       *symbolizer.Image // opened's file
	release     func() error      // gives opened back; nil if that was done
	mapping     symbolizer.Mapping
	identity    symbolizer.Identity
	loads       guestImages // what the guest loaded beside its kernel
	unwinder    *unwind.Unwinder
	types       *ctype.Types // nil without debug information
	typesErr    error
	env         *expr.Env
	kernel      kernel.Kernel  // nil if none was recognised
	kernelImage unikraft.Image // the image as a Unikraft, which it may not be
	isLinux     bool           // the image is a Linux kernel
	noKernel    string         // why
	warning     string
	foreign     []uint64 // breakpoints of others that were seen in the code

	epoch   uint64
	atCall  callSite // where the last step over stopped, if at an inlined call
	threads []Thread
	stacks  map[threadKey]stack // of this epoch
	// currentSlots are the words that name each processor's thread; they do not
	// move once the kernel has set its processors up.
	currentSlots map[target.CPU]uint64

	breaks    []*Breakpoint
	lastBreak int
	breakKind target.BreakKind
	inserted  []target.Breakpoint
	farewell  *target.Farewell
	behind    observer // the VMM's memory while a dump is written over a stub, else nil
	changed   bool     // the person set memory or a register
	drained   bool     // the trace buffer was emptied
}

// connectPatience bounds the way to a stub where Options say nothing.
const connectPatience = 5 * time.Second

// Open reaches the target, opens the image, proves that the two belong together
// and recognises the kernel. Whatever fails, the target is left as it was found.
func Open(ctx context.Context, opt Options) (*Session, error) {
	spec, err := target.ParseSpec(opt.Target)
	if err != nil {
		return nil, mark(err, ErrUsage)
	}
	asked := spec
	if spec, err = reachable(ctx, spec); err != nil {
		return nil, err
	}
	s := &Session{opt: opt, asked: asked, spec: spec, epoch: 1, stacks: map[threadKey]stack{}}
	if opt.Image != "" {
		// Before the guest is stopped: a wrong file must cost it nothing.
		if err = s.openImage(ctx); err != nil {
			return nil, err
		}
	}
	// The stub is waited for most of the time: read the image meanwhile.
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.readImage()
	}()
	if err := s.reach(ctx); err != nil {
		<-read
		return nil, errors.Join(err, s.releaseImage())
	}
	if err := s.awaitImage(ctx, read); err != nil {
		return nil, errors.Join(err, s.abandon(ctx))
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.abandon(ctx))
	}
	return s, nil
}

// readImage does what needs no guest and would take time later.
func (s *Session) readImage() {
	if s.opened == nil {
		return
	}
	s.opened.read()
	s.kernelImage, s.isLinux = s.opened.kernel, s.opened.linux
	s.loadTypes()
}

// loadTypes makes the types of the image known.
func (s *Session) loadTypes() {
	if s.opened != nil {
		s.types, s.typesErr = s.opened.loadTypes()
	}
}

// OpenImage makes a session of an image alone, or of nothing: for console logs.
// The context ends the search for debug files.
func OpenImage(ctx context.Context, opt Options) (*Session, error) {
	s := &Session{opt: opt, epoch: 1, stacks: map[threadKey]stack{}, noKernel: "there is no guest"}
	if opt.Image == "" {
		return s, nil
	}
	if err := s.openImage(ctx); err != nil {
		return nil, err
	}
	s.arch, s.mapping = s.image.Arch(), symbolizer.Mapping{Image: s.image}
	return s, nil
}

// reach opens the target.
func (s *Session) reach(ctx context.Context) error {
	var imageArch *arch.Arch
	if s.image != nil {
		imageArch = s.image.Arch()
	}
	if s.spec.Scheme == target.Core {
		return s.openDump(ctx)
	}
	if s.spec.Scheme == target.QMP || s.spec.Scheme == target.PID {
		return s.observe(ctx)
	}
	timeout := s.opt.Timeout
	if timeout == 0 {
		timeout = connectPatience
	}
	dial, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := guard.Attach(dial, s.spec, s.opt.Guard, gdbstub.Options{Arch: imageArch})
	if err != nil {
		return mark(err, ErrUnreachable)
	}
	if s.opt.Brief {
		b, err := newBrief(ctx, client, s.opt.Guard)
		if err != nil {
			_, lerr := client.Leave(context.WithoutCancel(ctx))
			return mark(errors.Join(err, lerr), ErrUnreachable)
		}
		s.machine, s.observer, s.arch = newProcessors(b), b, client.Arch()
		s.view = newView(s.without(b))
		return nil
	}
	s.machine, s.live, s.arch = newProcessors(client), client, client.Arch()
	return nil
}

// prepare makes a session of a target that answers.
func (s *Session) prepare(ctx context.Context) error {
	if s.arch == nil {
		return mark(errors.New("neither the stub nor an image tells the architecture: give the image with -e"), ErrUsage)
	}
	if s.image != nil && s.image.Arch() != s.arch {
		return mark(fmt.Errorf("%s is for %s, the guest is %s", s.opt.Image, s.image.Arch().Name, s.arch.Name), ErrMismatch)
	}
	if s.mem = memory(newCache(s.without(s.machine.machine))); s.view != nil {
		s.mem = s.view
	}
	var err error
	if s.cpus, err = s.machine.CPUs(ctx); err != nil {
		return mark(fmt.Errorf("asking for the processors: %w", err), ErrUnreachable)
	}
	if s.image == nil {
		s.noKernel = "no image was given (-e NAME.dbg)"
		s.unwinder = unwind.New(nil, unwind.Options{})
		return nil
	}
	if err := s.prove(ctx); err != nil {
		return err
	}
	if err := s.findTables(ctx); err != nil {
		return err
	}
	if err := s.recognise(); err != nil {
		return err
	}
	if err := s.useLastCalls(ctx); err != nil {
		return err
	}
	return s.lookForImages(ctx)
}

// openImage opens the image that was asked for.
func (s *Session) openImage(ctx context.Context) (err error) {
	if s.opened, s.release, err = openImage(ctx, s.opt); err == nil {
		s.image = s.opened.file
	}
	return err
}

// releaseImage gives the images back. Nothing may be asked about them afterwards.
func (s *Session) releaseImage() error {
	var errs []error
	if s.loads.files != nil {
		errs = append(errs, s.loads.files.Release())
	}
	if s.release != nil {
		errs = append(errs, s.release())
		s.release = nil
	}
	return errors.Join(errs...)
}

// abandon leaves a target that did not become a session.
func (s *Session) abandon(ctx context.Context) error {
	return s.Close(context.WithoutCancel(ctx))
}

// Close ends the use of a session: it leaves the guest, if that was not done, and
// gives the image back, about which a session that only left may still be asked.
// A process that ends need not call it; one that goes on must, or keeps the image
// open. It may be called again.
func (s *Session) Close(ctx context.Context) error {
	var err error
	if s.farewell == nil && (s.machine != nil || s.observer != nil) {
		_, err = s.Leave(ctx)
	}
	return errors.Join(err, s.releaseImage())
}

// Leave gives the guest back: unpatched, and running if it ran when it was
// found. It may be called again.
func (s *Session) Leave(ctx context.Context) (target.Farewell, error) {
	if s.farewell != nil {
		return *s.farewell, nil
	}
	var bye target.Farewell
	var errs []error
	if s.live != nil {
		var err error
		if bye, err = s.live.Leave(ctx); err != nil {
			errs = append(errs, mark(fmt.Errorf("leaving the guest: %w", err), ErrUnreachable))
		}
		bye.Stops += s.past.Stops
		bye.Stopped += s.past.Stopped
		bye.Longest = max(bye.Longest, s.past.Longest)
		bye.Pauses = CapText(bye, s.opt.Guard.MaxPause)
		if s.drained && bye.Note == "" {
			bye.Note = "as found but for the trace buffer, which was emptied"
		}
		if s.changed && bye.Note == "" {
			bye.Note = "as found but for what was set"
		}
	}
	if b, ok := s.observer.(*brief); ok {
		var err error
		if bye, err = b.leave(ctx); err != nil {
			errs = append(errs, mark(fmt.Errorf("leaving the guest: %w", err), ErrUnreachable))
		}
	}
	s.farewell = &bye
	if s.observer != nil {
		errs = append(errs, s.observer.Close())
	} else if c, ok := s.machine.machine.(interface{ Close() error }); ok && s.live == nil {
		errs = append(errs, c.Close())
	}
	if s.image != nil {
		_ = s.image.SaveCache() // the next attach is slower without it, no more
	}
	errs = append(errs, s.closeImages())
	return bye, errors.Join(errs...)
}

// newEpoch drops what was known of the guest's state.
func (s *Session) newEpoch() {
	s.epoch++
	s.mem.forget()
	s.machine.forget()
	s.threads = nil
	clear(s.stacks)
}

// Epoch numbers the states the guest was seen in.
func (s *Session) Epoch() uint64 { return s.epoch }

// Live reports whether the guest can run; a dump cannot.
func (s *Session) Live() bool { return s.live != nil }

// FoundPaused reports whether the guest stood when it was reached. What stopped
// it is somebody else's, so nothing but a person's wish lets it run.
func (s *Session) FoundPaused() bool {
	if b, ok := s.observer.(*brief); ok {
		return b.status != "running"
	}
	r, ok := s.live.(interface {
		FoundRunning() (running, known bool)
	})
	if !ok {
		return false
	}
	running, known := r.FoundRunning()
	return known && !running
}

// Arch is the guest's architecture.
func (s *Session) Arch() *arch.Arch { return s.arch }

// Memory is the guest's virtual memory.
func (s *Session) Memory() target.Memory { return s.mem }

// StopCPU is the processor whose stop was last reported.
func (s *Session) StopCPU() target.CPU { return s.stopCPU }

// Spec is the target address, as it was given.
func (s *Session) Spec() target.Spec { return s.asked }

// Monitor runs a command of the VMM's or probe's own.
func (s *Session) Monitor(ctx context.Context, command string) (string, error) {
	m, ok := s.machine.machine.(target.Monitor)
	if !ok {
		return "", fmt.Errorf("monitor commands: %w", target.ErrUnsupported)
	}
	// It may have changed anything.
	s.newEpoch()
	return m.Monitor(ctx, command)
}

// SystemRegisters reads the registers that are no general ones.
func (s *Session) SystemRegisters(ctx context.Context, cpu target.CPU) (map[string][]byte, error) {
	sr, ok := s.machine.machine.(target.SystemRegisters)
	if !ok {
		return nil, fmt.Errorf("system registers: %w", target.ErrUnsupported)
	}
	return sr.ReadSystemRegisters(ctx, cpu)
}

// FarewellText tells a person how the guest was left.
func FarewellText(f target.Farewell) string {
	state := "guest left paused, as it was found"
	if f.Running {
		state = "guest resumed"
	}
	text := fmt.Sprintf("%s · stopped %s in all", state, roundDuration(f.Stopped)) + note(f.Pauses)
	if f.Note != "" {
		return text + " · " + f.Note
	}
	return text + " · memory as found"
}

func roundDuration(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// Left reports whether the guest was given back.
func (s *Session) Left() bool { return s.farewell != nil }
