package agent

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
)

// What the agent uses is measured and told, and above its limit it does less.
func TestCPULimit(t *testing.T) {
	s := newSelf()
	now := s.at
	for range 20 { // four times as much as it may
		now = now.Add(2 * time.Second)
		s.cpu = usedCPU() - 400*time.Millisecond
		s.measure(now, 0.05)
	}
	if _, share, slow := s.used(); share < 0.1 || slow < 8 {
		t.Errorf("a share of %.2f slows down by %.1f", share, slow)
	}
	for range 200 { // and next to nothing again
		now = now.Add(2 * time.Second)
		s.cpu = usedCPU()
		s.measure(now, 0.05)
	}
	if _, share, slow := s.used(); share > 0.05 || slow != 1 {
		t.Errorf("a share of %.2f slows down by %.1f", share, slow)
	}

	snap := snapshotOf(t, "ukguest-x86_64")
	name := unique(t, "limit-a")
	vm := fake(t, snap, fakevmm.Options{Name: name, Shared: true})
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	c := quick(t, name)
	c.Profile.Hz = 200
	c.Limits.CPU = 0.001
	a := run(t, c, nil)
	a.guest(name, func(g status.Guest) bool { return g.Profile.Samples > 0 })
	value := func(name string) float64 {
		m := regexp.MustCompile("(?m)^" + name + " (.*)$").FindStringSubmatch(a.scraped())
		if m == nil {
			t.Fatalf("no %s", name)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for end := time.Now().Add(patience); value("ukdbg_agent_slowdown_ratio") < 16; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not slowed down: %v, with %v of a CPU", value("ukdbg_agent_slowdown_ratio"), value("ukdbg_agent_cpu_share_ratio"))
		}
	}
	// Each second without a limit. One may fall into this time however seldom they are.
	last, bursts := a.guest(name, known).Profile.At, 0
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if at := a.guest(name, known).Profile.At; at != last {
			last = at
			bursts++
		}
	}
	if bursts > 2 {
		t.Errorf("bursts go on as before: %d in 5 s", bursts)
	}
	if memory := value("ukdbg_agent_memory_bytes"); memory < 1<<20 || value("ukdbg_agent_memory_limit_bytes") != float64(c.Limits.Memory) {
		t.Errorf("memory of %v bytes", memory)
	}
}

// Of guests that came and went, and of an agent that ended, nothing is left: no
// goroutine, no descriptor.
func TestNothingIsLeft(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64-ring")
	count := func() (goroutines, files int) {
		http.DefaultClient.CloseIdleConnections()
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(list)
	}
	sink := newCollector(t)
	once := func() {
		c := quick(t, unique(t, "left-*"))
		c.Limits.Spool = filepath.Join(t.TempDir(), "spool")
		sink.to(c)
		a := run(t, c, nil)
		for _, n := range []string{"a", "b"} {
			log := filepath.Join(t.TempDir(), "console")
			appendTo(t, log, "up\n")
			vm, err := fakevmm.Start(snap, fakevmm.Options{Name: unique(t, "left-"+n), Dir: shortDir(t), Console: log, Shared: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := vm.Do("busy on"); err != nil {
				t.Fatal(err)
			}
			a.guest(unique(t, "left-"+n), func(g status.Guest) bool { return g.Console == log && g.Profile.Samples > 0 && g.Traces.Records > 0 })
			if err := vm.Close(); err != nil {
				t.Fatal(err)
			}
			a.said("gone: " + unique(t, "left-"+n))
		}
		a.end()
		sink.CloseClientConnections()
	}
	once() // what is made once for all
	goroutines, files := count()
	once()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		g, f := count()
		if g <= goroutines && f <= files {
			return
		}
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, there were %d; %d descriptors, there were %d\n%s", g, goroutines, f, files, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
