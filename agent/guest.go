package agent

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/agent/keep"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/tailsample"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/imageindex"
	"github.com/ukdbg/ukdbg/vmm"
)

// lane is a kind of work on a guest. One piece of each is under way at a time, with
// a session of its own.
type lane int

const (
	laneLook lane = iota
	laneProfile
	laneTrace
	lanes
)

// feature is what people see a lane's work as.
func (l lane) feature() feature {
	return [...]feature{featureImage, featureProfile, featureTraces}[l]
}

func (l lane) String() string { return [...]string{"look", "profile", "traces"}[l] }

// guest is a guest under watch. The manager alone uses the fields of the schedule;
// each lane's worker those of its lane; the rest is guarded by mu.
type guest struct {
	proc     vmm.Process
	instance string    // of the VMM's process; see ukdbg.Instance
	started  time.Time // by the clock of the host that nobody sets
	found    time.Time // by us

	// The schedule, the manager's own.
	work  [lanes]schedule
	cpu   time.Duration // at the last scan
	quiet int           // scans in a row in which it used no CPU time
	// profiled is the CPU time at the begin of the last burst.
	profiled time.Duration
	// console is written under mu, for those who are not the manager.
	console *follower
	// noConsole: it has none that can be followed, or it was not allowed.
	noConsole bool

	trace   traceLane
	profile profileLane

	mu        sync.Mutex
	host      hosts.Guest // with its name, ways and state
	looked    bool
	image     imageindex.Match
	imageErr  error
	imagePath string
	// beside is the image beside its kernel, once it was asked for.
	beside       string
	lookedBeside bool
	generation   uint32
	features     [features]state
	counts       counts
	gone         bool
	osVersion    string           // of the guest's kernel
	placed       []exporters.Attr // container and pod
	vmmCPU       time.Duration    // cpu, for those who are not the manager

	// lookedUp is the refresh of the index after which the image was looked for, proved
	// that the guest's memory says that it is, refused the version of one that is not;
	// all three are the look lane's.
	lookedUp int64
	proved   bool
	refused  string

	keeper *keep.Keeper // who keeps it when it dies, nil for nobody; the look lane's

	last status.Profile // what the page shows of the last burst
}

// schedule is when a lane is due next.
type schedule struct {
	busy, stuck bool
	due         time.Time
	// failed counts failures in a row: the pause after them doubles.
	failed int
}

// feature is something the agent does with a guest, as people see it.
type feature int

const (
	featureImage feature = iota
	featureProfile
	featureTraces
	featureConsole
	features
)

func (f feature) String() string { return [...]string{"image", "profile", "traces", "console"}[f] }

// state is how a feature does.
type state struct {
	// State is a word: ok, idle, off, refused, unknown, failed, waiting.
	State string
	// Detail says why, or what was done last.
	Detail string
	// Command does the same once.
	Command string
	At      time.Time
}

func outcome(word, detail, command string) state {
	return state{State: word, Detail: detail, Command: command}
}

// counts are what was done with a guest since it was first seen.
type counts struct {
	Bursts, Samples, Missed, Abandoned uint64
	Stops                              uint64
	Stopped, Longest                   time.Duration
	Exits                              uint64
	Records, Lost                      uint64
	Faults                             uint64
	Failures                           map[string]uint64 // by lane
	Clock                              time.Duration     // how far times may be wrong
}

// label is what a guest is called where its name must be one word.
func label(g *hosts.Guest) string {
	if g.Name != "" {
		return g.Name
	}
	return fmt.Sprintf("pid-%d", g.PID)
}

// targetOf is how a person would name the guest to ukdbg.
func targetOf(h *hosts.Guest) string {
	if h.Target != "" {
		return h.Target
	}
	return fmt.Sprintf("pid:%d", h.PID)
}

// set notes how a feature does.
func (g *guest) set(f feature, s state) {
	s.At = time.Now()
	g.mu.Lock()
	g.features[f] = s
	g.mu.Unlock()
}

func (g *guest) setConsole(f *follower) {
	g.mu.Lock()
	g.console = f
	g.mu.Unlock()
}

// name is label, of a guest that is shared.
func (g *guest) name() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return label(&g.host)
}

// run names the run of the guest: the instance, and how often it was set back.
func (g *guest) run() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return runName(g.instance, g.generation)
}

func runName(instance string, generation uint32) string {
	if generation == 0 {
		return instance
	}
	return fmt.Sprintf("%s+%d", instance, generation)
}

// oneShot is the command that does once what the agent does.
func oneShot(verb string, target, image string, flags ...string) string {
	words := append([]string{"ukdbg", verb, target}, flags...)
	if image != "" {
		words = append(words, "-e", image)
	}
	for i, w := range words[1:] {
		if strings.ContainsAny(w, " \t\"'$`\\|&;<>()*?[]#~%!{}\n") && i > 0 {
			words[i+1] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// topic is what the log remembers of a guest.
func (g *guest) topic(what string) string {
	return fmt.Sprintf("%d.%d %s", g.proc.PID, g.proc.StartTime, what)
}

// count counts a failure.
func (g *guest) count(l lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.counts.Failures == nil {
		g.counts.Failures = map[string]uint64{}
	}
	g.counts.Failures[l.String()]++
}

// release gives back what the lanes of a guest that is gone hold, if they do not work;
// the others give it back when they end.
func (a *agent) release(g *guest) {
	for l := range lanes {
		if g.work[l].busy {
			continue
		}
		if l == laneTrace {
			a.flush(g)
		}
		g.closeLane(l)
	}
}

// closeSessions gives back what is held, when no lane works any more.
func (g *guest) closeSessions() {
	for l := range lanes {
		g.closeLane(l)
	}
}

// spanStats is what became of the guest's spans; its lock is held.
func (g *guest) spanStats() tailsample.Stats {
	if g.trace.sampler == nil {
		return tailsample.Stats{}
	}
	return g.trace.sampler.Stats()
}

// imageFile is the image with debug information, "" if it is not known.
func (g *guest) imageFile() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.imagePath
}

// likelyImage is the image with debug information as far as is known without a
// reading of the guest: what lies beside its kernel, until it was looked for.
func (g *guest) likelyImage() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.imagePath != "" || g.looked {
		return g.imagePath
	}
	if !g.lookedBeside {
		g.lookedBeside = true
		g.beside, _ = hosts.Image(&g.proc)
	}
	return g.beside
}
