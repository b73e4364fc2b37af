package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Entry is one line of the audit log; docs/guard.md documents the fields.
type Entry struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"` // attach, leave, change, guard, recover
	PID    int       `json:"pid"`
	UID    int       `json:"uid"`
	Verb   string    `json:"verb,omitempty"`
	Target string    `json:"target"`
	VMM    int       `json:"vmm,omitempty"`
	// Found and Left are "running", "paused" or "not known".
	Found string `json:"found,omitempty"`
	Left  string `json:"left,omitempty"`
	// Stops and StoppedMS count the guest's stops and how long they took.
	Stops     int     `json:"stops,omitempty"`
	StoppedMS float64 `json:"stopped_ms,omitempty"`
	LongestMS float64 `json:"longest_ms,omitempty"`
	// Changes are what was changed deliberately, and stays.
	Change string `json:"change,omitempty"`
	Note   string `json:"note,omitempty"`
	Error  string `json:"error,omitempty"`
}

const (
	auditName = "audit.log"
	// auditMax is the size at which the log becomes audit.log.1, in bytes.
	auditMax = 1 << 20
)

// audit appends a line to the log in the folder state. A log that cannot be
// written keeps nobody from giving a guest back.
func audit(state string, e Entry) {
	if state == "" {
		return
	}
	e.Time, e.PID, e.UID = time.Now(), os.Getpid(), os.Getuid()
	line, err := json.Marshal(e)
	if err != nil {
		return
	}
	path := filepath.Join(state, auditName)
	for range auditTries {
		if err := appendAudit(state, path, append(line, '\n')); !errors.Is(err, errDiscarded) {
			return
		}
	}
}

// auditTries is how often a line is written that went into a log thrown away.
const auditTries = 3

// errDiscarded: the file was turned over twice while its writer had it open.
var errDiscarded = errors.New("the log was thrown away meanwhile")

func appendAudit(state, path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(state, 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > auditMax {
		rotate(f, st, path)
	}
	if _, err := f.Write(line); err != nil {
		return err
	}
	if removed(f) {
		return errDiscarded
	}
	return nil
}

// rotate makes the log the old one, once: whoever holds the lock does it. One who
// gets the lock later finds another file at the path, which is not to follow.
func rotate(f *os.File, st os.FileInfo, path string) {
	if tryLock(f) != nil {
		return
	}
	if now, err := os.Stat(path); err == nil && os.SameFile(st, now) {
		_ = os.Rename(path, path+".1") // the line below still goes somewhere
	}
}

// entry is the audit line of a report.
func (r Report) entry(event string) Entry {
	e := Entry{Event: event, Verb: r.Verb, Target: r.Spec, VMM: r.VMM.PID, Note: join(r.How, r.Note)}
	if r.Known {
		e.Left = "paused"
		if r.Running {
			e.Left = "running"
		}
	}
	if r.Err != nil {
		e.Error = r.Err.Error()
	}
	return e
}

// entry is an audit line of the attachment.
func (a *Attachment) entry(event string) Entry {
	e := Entry{Event: event, Verb: a.opt.Verb, Target: a.Spec().String(), Found: "not known"}
	if a.temp != nil { // its address says nothing afterwards, the monitor's does
		e.Target = "qmp:" + a.temp.monitor.Path
	}
	_, v := a.Guarded()
	e.VMM = v.PID
	if running, known := a.FoundRunning(); known {
		e.Found = "paused"
		if running {
			e.Found = "running"
		}
	}
	return e
}

func (a *Attachment) farewellEntry(bye target.Farewell, err error) Entry {
	e := a.entry("leave")
	e.Left, e.Stops, e.Note = "paused", bye.Stops, bye.Note
	if bye.Running {
		e.Left = "running"
	}
	e.StoppedMS, e.LongestMS = milliseconds(bye.Stopped), milliseconds(bye.Longest)
	if err != nil {
		e.Error = err.Error()
	}
	return e
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// WriteMemory changes memory, which the audit log tells.
func (a *Attachment) WriteMemory(ctx context.Context, p []byte, addr uint64) error {
	err := a.Client.WriteMemory(ctx, p, addr)
	a.changed(fmt.Sprintf("%d bytes at %#x", len(p), addr), err)
	return err
}

// WriteRegister changes a register, which the audit log tells.
func (a *Attachment) WriteRegister(ctx context.Context, cpu target.CPU, num int, v uint64) error {
	err := a.Client.WriteRegister(ctx, cpu, num, v)
	a.changed(fmt.Sprintf("register %d (DWARF) of CPU %d = %#x", num, cpu, v), err)
	return err
}

func (a *Attachment) changed(what string, err error) {
	if a.opt.Command == nil {
		return
	}
	e := a.entry("change")
	if e.Change = what; err != nil {
		e.Error = err.Error()
	}
	audit(a.opt.State, e)
}
