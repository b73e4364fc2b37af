package agent

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/keep"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/exporters/tailsample"
	"github.com/ukdbg/ukdbg/imageindex"
)

// roomShare is the part of the agent's memory, one in so many, that spans may take up
// that wait.
const roomShare = 5

// key names a VMM's process for as long as the host runs.
type key struct {
	pid   int
	start uint64
}

// fleet is what all goroutines share: the guests there are, and what is in force.
type fleet struct {
	sending sync.RWMutex // held while something is handed to out

	room tailsample.Room // of spans that wait for the ends of their traces

	mu      sync.Mutex
	byKey   map[key]*guest
	cfg     *config.Config
	out     *outputs
	index   *imageindex.Index
	budget  *tailsample.Budget
	keeper  *keep.Keeper
	seen    uint64 // guests since the start
	ignored int    // VMMs that the configuration leaves out
	scans   uint64
	told    []func()
	// reloads counts configurations taken over, refused those that were not; badFile
	// says what is wrong with the file as it is, "" if nothing.
	reloads, refused uint64
	badFile          string
	files            []file         // with certificates and tokens that are in force
	renewed          uint64         // how often one of them was read again
	loaded           time.Time      // when the configuration in force was
	faults           []status.Fault // the latest, oldest first

	// indexed counts the refreshes of the index: a guest whose image was not known
	// is looked up again after one.
	indexed atomic.Int64
}

// list returns the guests, by process number.
func (f *fleet) list() []*guest {
	f.mu.Lock()
	out := make([]*guest, 0, len(f.byKey))
	for _, g := range f.byKey {
		out = append(out, g)
	}
	f.mu.Unlock()
	slices.SortFunc(out, func(a, b *guest) int { return cmp.Compare(a.proc.PID, b.proc.PID) })
	return out
}

func (f *fleet) setOutputs(c *config.Config, out *outputs, k *keep.Keeper) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cfg == nil || f.cfg.Traces.SpansPerSecond != c.Traces.SpansPerSecond {
		f.budget = tailsample.NewBudget(c.Traces.SpansPerSecond)
	}
	f.room.Resize(int64(c.Limits.Memory) / roomShare)
	f.cfg, f.out, f.keeper, f.loaded = c, out, k, time.Now()
}

func (f *fleet) setIndex(x *imageindex.Index) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index = x
}

// now is what is in force.
func (f *fleet) now() (*config.Config, *outputs, *imageindex.Index) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cfg, f.out, f.index
}

// send hands something to the receivers in force, which are not replaced meanwhile.
func (f *fleet) send(what func(*outputs)) {
	f.sending.RLock()
	defer f.sending.RUnlock()
	_, out, _ := f.now()
	what(out)
}

// wanted reports whether the configuration watches a guest of a name.
func wanted(c *config.Guests, name string) bool {
	return fits(c.Include, name) && !fits(c.Exclude, name)
}

// takeTold returns what the manager was told to do.
func (f *fleet) takeTold() []func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := f.told
	f.told = nil
	return told
}

// reloaded notes what became of a changed file.
func (f *fleet) reloaded(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.refused++
		f.badFile = err.Error()
		return
	}
	f.reloads++
	f.badFile = ""
}

// spanBudget is what the spans of all guests share.
func (f *fleet) spanBudget() *tailsample.Budget {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.budget
}

// crashKeeper is who keeps guests that die, nil for nobody.
func (f *fleet) crashKeeper() *keep.Keeper {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keeper
}
