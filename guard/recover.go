package guard

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// Recover finishes the work of attachments whose client and guard both died,
// and tells of each.
func Recover(ctx context.Context, opt Options) []Report {
	return recoverAll(ctx, opt, func(*journal.State) bool { return true })
}

// recoverAll does so for the journals that mine accepts.
func recoverAll(ctx context.Context, opt Options, mine func(*journal.State) bool) (out []Report) {
	if opt.State == "" {
		return nil
	}
	for _, f := range orphans(opt.State, mine) {
		if rep, ok := recoverOne(ctx, opt, f, mine); ok {
			out = append(out, rep)
			audit(opt.State, rep.entry("recover"))
		}
	}
	return out
}

func recoverOne(ctx context.Context, opt Options, f folder, mine func(*journal.State) bool) (Report, bool) {
	began := time.Now()
	st, err := journal.Load(f.journal())
	if err != nil {
		keepOpen(f)
		return Report{Spec: f.path, Err: err}, !os.IsNotExist(err) && mine(&journal.State{})
	}
	switch {
	case st.Left || !st.Connecting && st.Temp == nil && len(st.Settings) == 0:
		f.remove() // nothing was done, or all of it is undone
		return Report{}, false
	case !mine(st):
		keepOpen(f)
		return Report{}, false
	}
	w, err := journal.Continue(f.journal())
	if err != nil {
		keepOpen(f)
		return Report{Spec: st.Spec, Err: err}, true
	}
	if opt.Monitor != "" && st.Monitor == "" {
		st.Monitor = opt.Monitor
		st.VMM.Monitors = append([]journal.Monitor{{Path: opt.Monitor}}, st.VMM.Monitors...)
	}
	u := undoing{w: w, st: st, logf: func(string, ...any) {}, orphan: true}
	rep := u.once(ctx)
	rep.Took = time.Since(began)
	_ = w.Close() // the file is read by path
	if rep.Err != nil {
		keepOpen(f)
		return rep, true
	}
	f.remove()
	return rep, true
}

// keepOpen gives a folder back for the next who looks.
func keepOpen(f folder) { f.lock.Close() }

// stateOf is the state folder a guard's folder lies in.
func stateOf(f folder) string { return filepath.Dir(filepath.Dir(f.path)) }
