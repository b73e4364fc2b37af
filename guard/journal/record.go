package journal

import (
	"slices"
	"time"
)

// Record is one entry: it is written before what it tells of is done.
type Record interface {
	kind() kind
	put(enc) enc
	apply(*State)
}

type kind uint8

// The kinds of records. Numbers are for ever.
const (
	kBegin kind = 1 + iota
	kGuard
	kVMM
	kConnecting
	kHeard
	kAttached
	kInsert
	kRemove
	kResume
	kResumed
	kInterrupt
	kStopped
	kMemory
	kMemoryBack
	kRegister
	kRegisterBack
	kKept
	kTempStub
	kTempStubGone
	kSetting
	kSettingBack
	kDetaching
	kLeft
)

// Limits of lists, so that a journal that is no journal costs little.
const (
	maxBreaks = 1 << 16
	maxHeard  = 64 << 10
	maxList   = 1 << 16
)

// Begin opens a journal.
type Begin struct {
	// Spec is the target address.
	Spec    string
	Client  Process
	Created time.Time
	// Verb is what the attachment is for.
	Verb string
	// MaxPause is how long one stop may last, 0 for any time.
	MaxPause time.Duration
	// Monitor was named by the person, "" if not.
	Monitor string
	// Arch is the image's architecture, "" if there is no image.
	Arch string
	// Boot is the host's /proc/sys/kernel/random/boot_id, "" if not known, and
	// SinceBoot the time of its CLOCK_BOOTTIME: unlike Created they are what they
	// are whatever somebody does to the host's clock.
	Boot      string
	SinceBoot time.Duration
}

func (Begin) kind() kind { return kBegin }

func (r Begin) put(e enc) enc {
	e = e.text(r.Spec).num(uint64(r.Client.PID)).num(r.Client.Start).num(uint64(r.Created.UnixNano()))
	return e.text(r.Verb).num(uint64(r.MaxPause)).text(r.Monitor).text(r.Arch).text(r.Boot).num(uint64(r.SinceBoot))
}

func (r Begin) apply(s *State) { s.Begin = r }

func getBegin(d *dec) Record {
	b := Begin{
		Spec: d.text(), Client: Process{int(d.num()), d.num()}, Created: time.Unix(0, int64(d.num())),
		Verb: d.text(), MaxPause: time.Duration(d.num()), Monitor: d.text(), Arch: d.text(),
	}
	if len(d.p) > 0 { // the first journals had no more
		b.Boot, b.SinceBoot = d.text(), time.Duration(d.num())
	}
	return b
}

// Guarded names the guard.
type Guarded struct{ Process }

func (Guarded) kind() kind       { return kGuard }
func (r Guarded) put(e enc) enc  { return e.num(uint64(r.PID)).num(r.Start) }
func (r Guarded) apply(s *State) { s.Guard = r.Process }

// Identified names the VMM.
type Identified struct{ VMM }

func (Identified) kind() kind { return kVMM }

func (r Identified) put(e enc) enc {
	e = e.num(uint64(r.PID)).num(r.Start).text(r.Comm).text(r.Name).text(r.UUID).num(uint64(len(r.Monitors)))
	for _, m := range r.Monitors {
		e = e.text(m.Path).text(m.Proto)
	}
	e = e.num(uint64(len(r.GDB)))
	for _, g := range r.GDB {
		e = e.text(g)
	}
	return e
}

func (r Identified) apply(s *State) { s.VMM = r.VMM }

func getIdentified(d *dec) Record {
	v := VMM{Process: Process{int(d.num()), d.num()}, Comm: d.text(), Name: d.text(), UUID: d.text()}
	for n := d.count(); n > 0 && !d.bad; n-- {
		v.Monitors = append(v.Monitors, Monitor{d.text(), d.text()})
	}
	for n := d.count(); n > 0 && !d.bad; n-- {
		v.GDB = append(v.GDB, d.text())
	}
	return Identified{v}
}

// Connecting precedes the connection.
type Connecting struct {
	// At is when, in nanoseconds of CLOCK_MONOTONIC, 0 where there is none.
	At int64
}

func (Connecting) kind() kind       { return kConnecting }
func (r Connecting) put(e enc) enc  { return e.num(uint64(r.At)) }
func (r Connecting) apply(s *State) { s.Connecting, s.ConnectedAt = true, r.At }

// Heard is what the stub sent, before it is taken from the link.
type Heard struct{ Data []byte }

func (Heard) kind() kind      { return kHeard }
func (r Heard) put(e enc) enc { return e.bytes(r.Data) }
func (r Heard) apply(s *State) {
	if len(s.Heard)+len(r.Data) <= maxHeard {
		s.Heard = append(s.Heard, r.Data...)
	}
}

// Attached tells what stub it is and how the guest was found.
type Attached struct {
	QEMU, InImage, HearsInterrupt, Ack bool
	// Question has an answer that begins with Answer and that nothing else is
	// answered with, "" if there is none.
	Question, Answer string
	Found            RunState
	LeaveRunning     bool
}

func (Attached) kind() kind { return kAttached }

func (r Attached) put(e enc) enc {
	e = e.flag(r.QEMU).flag(r.InImage).flag(r.HearsInterrupt).flag(r.Ack)
	return e.text(r.Question).text(r.Answer).num(uint64(r.Found)).flag(r.LeaveRunning)
}

func (r Attached) apply(s *State) {
	s.Attached, s.Stub, s.LeaveRunning = true, r, r.LeaveRunning
	s.Heard = nil
}

func getAttached(d *dec) Record {
	return Attached{
		QEMU: d.flag(), InImage: d.flag(), HearsInterrupt: d.flag(), Ack: d.flag(),
		Question: d.text(), Answer: d.text(), Found: RunState(min(d.num(), uint64(Paused))), LeaveRunning: d.flag(),
	}
}

// Insert precedes a breakpoint's insertion.
type Insert struct{ Break }

func (Insert) kind() kind      { return kInsert }
func (r Insert) put(e enc) enc { return r.Break.put(e) }
func (r Insert) apply(s *State) {
	for i := range s.Breaks {
		if s.Breaks[i].same(&r.Break) {
			s.Breaks[i] = r.Break
			return
		}
	}
	if len(s.Breaks) < maxBreaks {
		s.Breaks = append(s.Breaks, r.Break)
	}
}

// Remove follows a breakpoint's removal.
type Remove struct{ Break }

func (Remove) kind() kind      { return kRemove }
func (r Remove) put(e enc) enc { return r.Break.put(e) }
func (r Remove) apply(s *State) {
	for i := range s.Breaks {
		if s.Breaks[i].same(&r.Break) {
			s.Breaks = append(s.Breaks[:i], s.Breaks[i+1:]...)
			return
		}
	}
}

func (b Break) put(e enc) enc {
	return e.num(uint64(b.Kind)).num(b.Addr).num(uint64(b.Len)).flag(b.Patched).bytes(b.Orig)
}

func getBreak(d *dec) Break {
	return Break{Kind: int(d.num()), Addr: d.num(), Len: int(d.num()), Patched: d.flag(), Orig: d.bytes()}
}

// Resume precedes the order to run.
type Resume struct{ Step bool }

func (Resume) kind() kind      { return kResume }
func (r Resume) put(e enc) enc { return e.flag(r.Step) }
func (r Resume) apply(s *State) {
	s.Running, s.Sure, s.Stepping, s.Interrupted, s.Heard = true, false, r.Step, false, nil
}

// Resumed follows it.
type Resumed struct{}

func (Resumed) kind() kind     { return kResumed }
func (Resumed) put(e enc) enc  { return e }
func (Resumed) apply(s *State) { s.Sure = true }

// Interrupt precedes the request to stop.
type Interrupt struct{}

func (Interrupt) kind() kind     { return kInterrupt }
func (Interrupt) put(e enc) enc  { return e }
func (Interrupt) apply(s *State) { s.Interrupted = true }

// Stopped follows a stop of whatever cause.
type Stopped struct{ LeaveRunning bool }

func (Stopped) kind() kind      { return kStopped }
func (r Stopped) put(e enc) enc { return e.flag(r.LeaveRunning) }
func (r Stopped) apply(s *State) {
	s.Running, s.Sure, s.Stepping, s.Interrupted, s.Heard = false, false, false, false, nil
	s.LeaveRunning = r.LeaveRunning
}

// MemoryChanged precedes a temporary change of memory. At most 32 KiB each.
type MemoryChanged struct{ Memory }

func (MemoryChanged) kind() kind      { return kMemory }
func (r MemoryChanged) put(e enc) enc { return e.num(r.Addr).bytes(r.Old) }
func (r MemoryChanged) apply(s *State) {
	if len(s.Memory) < maxList {
		s.Memory = append(s.Memory, r.Memory)
	}
}

// MemoryBack follows the undoing of the newest change of memory.
type MemoryBack struct{}

func (MemoryBack) kind() kind    { return kMemoryBack }
func (MemoryBack) put(e enc) enc { return e }
func (MemoryBack) apply(s *State) {
	if n := len(s.Memory); n > 0 {
		s.Memory = s.Memory[:n-1]
	}
}

// RegisterChanged precedes a temporary change of a register.
type RegisterChanged struct{ Register }

func (RegisterChanged) kind() kind { return kRegister }
func (r RegisterChanged) put(e enc) enc {
	return e.num(uint64(r.CPU)).num(uint64(r.Num)).num(r.Old)
}
func (r RegisterChanged) apply(s *State) {
	if len(s.Registers) < maxList {
		s.Registers = append(s.Registers, r.Register)
	}
}

// RegisterBack follows the undoing of the newest change of a register.
type RegisterBack struct{}

func (RegisterBack) kind() kind    { return kRegisterBack }
func (RegisterBack) put(e enc) enc { return e }
func (RegisterBack) apply(s *State) {
	if n := len(s.Registers); n > 0 {
		s.Registers = s.Registers[:n-1]
	}
}

func (r Kept) kind() kind    { return kKept }
func (r Kept) put(e enc) enc { return e.num(r.Addr).num(uint64(r.Len)) }
func (r Kept) apply(s *State) {
	if len(s.Kept) < maxList && !slices.Contains(s.Kept, r) {
		s.Kept = append(s.Kept, r)
	}
}

// TempOpened precedes the opening of a temporary stub.
type TempOpened struct{ TempStub }

func (TempOpened) kind() kind { return kTempStub }
func (r TempOpened) put(e enc) enc {
	return e.text(r.Monitor.Path).text(r.Monitor.Proto).text(r.Dir).text(r.Socket).num(uint64(r.Found)).text(r.Status)
}
func (r TempOpened) apply(s *State) { s.Temp = &r.TempStub }

func getTemp(d *dec) Record {
	return TempOpened{TempStub{
		Monitor: Monitor{d.text(), d.text()}, Dir: d.text(), Socket: d.text(),
		Found: RunState(min(d.num(), uint64(Paused))), Status: d.text(),
	}}
}

// TempClosed follows its closing.
type TempClosed struct{}

func (TempClosed) kind() kind     { return kTempStubGone }
func (TempClosed) put(e enc) enc  { return e }
func (TempClosed) apply(s *State) { s.Temp = nil }

// Setting is something set through a monitor: Undo are the human monitor's
// commands that put it back.
type Setting struct {
	Monitor Monitor
	Undo    []string
}

func (Setting) kind() kind { return kSetting }
func (r Setting) put(e enc) enc {
	e = e.text(r.Monitor.Path).text(r.Monitor.Proto).num(uint64(len(r.Undo)))
	for _, l := range r.Undo {
		e = e.text(l)
	}
	return e
}
func (r Setting) apply(s *State) {
	if len(s.Settings) < maxList {
		s.Settings = append(s.Settings, r)
	}
}

func getSetting(d *dec) Record {
	r := Setting{Monitor: Monitor{d.text(), d.text()}}
	for n := d.count(); n > 0 && !d.bad; n-- {
		r.Undo = append(r.Undo, d.text())
	}
	return r
}

// SettingBack follows the undoing of the newest setting.
type SettingBack struct{}

func (SettingBack) kind() kind    { return kSettingBack }
func (SettingBack) put(e enc) enc { return e }
func (SettingBack) apply(s *State) {
	if n := len(s.Settings); n > 0 {
		s.Settings = s.Settings[:n-1]
	}
}

// Detaching precedes the order that lets the guest go.
type Detaching struct{}

func (Detaching) kind() kind     { return kDetaching }
func (Detaching) put(e enc) enc  { return e }
func (Detaching) apply(s *State) { s.Detaching = true }

// Left closes the journal: everything is undone.
type Left struct{}

func (Left) kind() kind     { return kLeft }
func (Left) put(e enc) enc  { return e }
func (Left) apply(s *State) { s.Left = true }

// get decodes a record; nil is a kind not known here.
func get(k kind, d *dec) Record {
	switch k {
	case kBegin:
		return getBegin(d)
	case kGuard:
		return Guarded{Process{int(d.num()), d.num()}}
	case kVMM:
		return getIdentified(d)
	case kConnecting:
		return Connecting{int64(d.num())}
	case kHeard:
		return Heard{d.bytes()}
	case kAttached:
		return getAttached(d)
	case kInsert:
		return Insert{getBreak(d)}
	case kRemove:
		return Remove{getBreak(d)}
	case kResume:
		return Resume{d.flag()}
	case kResumed:
		return Resumed{}
	case kInterrupt:
		return Interrupt{}
	case kStopped:
		return Stopped{d.flag()}
	case kMemory:
		return MemoryChanged{Memory{d.num(), d.bytes()}}
	case kMemoryBack:
		return MemoryBack{}
	case kRegister:
		return RegisterChanged{Register{int(d.num()), int(d.num()), d.num()}}
	case kRegisterBack:
		return RegisterBack{}
	case kKept:
		return Kept{d.num(), int(d.num())}
	case kTempStub:
		return getTemp(d)
	case kTempStubGone:
		return TempClosed{}
	case kSetting:
		return getSetting(d)
	case kSettingBack:
		return SettingBack{}
	case kDetaching:
		return Detaching{}
	case kLeft:
		return Left{}
	}
	return nil
}
