package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/ukdbg/ukdbg/internal/collectortest"
)

// Guests that serve the same, of which one has workers that wait for a lock, one a
// slow disk and one a leak: each trouble is found, and named, by what the collector
// got alone.
func TestFindsTrouble(t *testing.T) {
	dir, err := os.MkdirTemp("", "uksoak")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fleet{dir: dir}
	f.boot, _ = extract(t, dir, "ukguest-x86_64-ring")
	col := collectortest.Run(t, collectortest.Options{})
	a := newAgent(t, dir, col.HTTP)
	config, err := os.ReadFile(a.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(config), "profile: {every: 10s, duration: 2s}", "profile: {kinds: [lock, heap], every: 6s, duration: 3s, min_cpu: 0}", 1)
	if err := os.WriteFile(a.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	a.start(t)
	defer a.kill()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for n, words := range []string{quiet: "rate=20", busy: "rate=1000", slow: "rate=20 slow=250", leaking: "rate=20 leak=2"} {
		f.wg.Go(func() {
			f.once(ctx, t, n, filepath.Join(dir, fmt.Sprintf("guest%d.log", n)), words, time.Hour)
		})
	}
	defer f.wg.Wait()
	defer cancel()
	var found troubles
	var amiss []string
	for end := time.Now().Add(180 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		delays, bytes, means := profiled(t, col, "delay"), profiled(t, col, "inuse_space"), durations(t, col)
		for n := range found.waited {
			name := fmt.Sprintf("%s%d", prefix(), n)
			found.waited[n], found.held[n], found.took[n] = delays[name], bytes[name], means[name]
		}
		if amiss = found.amiss(); len(amiss) == 0 {
			break
		}
	}
	for n := range found.waited {
		t.Logf("guest %d: waited for locks %v ns, held %v bytes, spans took %v s on average", n, found.waited[n], found.held[n], found.took[n])
	}
	for _, a := range amiss {
		t.Error(a)
	}
	if t.Failed() {
		t.Logf("agent:\n%s", a.said())
	}
}

// The guests, by their trouble.
const quiet, busy, slow, leaking = 0, 1, 2, 3

// troubles is what was found of each guest.
type troubles struct {
	waited, held, took [4]map[string]float64 // ns by lock, bytes by allocation, seconds by span
}

// amiss says which trouble does not stand out, and what does without being one.
func (f *troubles) amiss() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for n := range f.held {
		if len(f.held[n]) == 0 || f.took[n][disk] == 0 || n == quiet && len(f.waited[n]) == 0 {
			say("little came of guest %d", n)
		}
	}
	if w, q := f.waited[busy][lock], f.waited[quiet][lock]; w < 1e9 || w < 10*q {
		say("the lock %s does not stand out: %v ns, and %v without the trouble", lock, w, q)
	}
	for other, ns := range f.waited[busy] {
		if other != lock && ns > f.waited[busy][lock]/10 {
			say("the lock %s stands out as well", other)
		}
	}
	// Caches fill in every guest; what one alone keeps is its leak.
	for what, n := range f.held[leaking] {
		if leaks := n > 10*(f.held[quiet][what]+requestSize); leaks != (what == request) {
			say("%s hold %v bytes, and %v without the leak", what, n, f.held[quiet][what])
		}
	}
	if f.held[leaking][request] == 0 {
		say("the leak is not to be seen")
	}
	// A slow disk makes all slow that waits for it; of what waits for nothing else
	// it is the one.
	for _, n := range []int{quiet, leaking} {
		if f.took[slow][disk] < 10*f.took[n][disk] {
			say("%s took %v s with a slow disk, %v s in guest %d", disk, f.took[slow][disk], f.took[n][disk], n)
		}
	}
	if own := f.took[slow]["malloc"]; own > f.took[slow][disk]/10 {
		say("malloc took %v s as well", own)
	}
	return out
}

// What the troubles are found by.
const (
	lock    = "[mutex_lock cache]"         // what the workers of a busy guest wait for
	request = "[allocations of 136 bytes]" // struct request, as the leak keeps it
	disk    = "vfs_read"                   // the span that waits for the disk

	requestSize = 136
)

// profiled adds up the values of one type in all the profiles that came, by guest
// and innermost function.
func profiled(t *testing.T, col *collectortest.Collector, value string) map[string]map[string]float64 {
	t.Helper()
	profiles, err := col.Profiles()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]map[string]float64{}
	for _, p := range profiles {
		d := p.Dictionary()
		for _, r := range p.ResourceProfiles().All() {
			guest := text(r.Resource().Attributes(), "service.name")
			if sums[guest] == nil {
				sums[guest] = map[string]float64{}
			}
			for _, s := range r.ScopeProfiles().All() {
				for _, one := range s.Profiles().All() {
					if d.StringTable().At(int(one.SampleType().TypeStrindex())) != value {
						continue
					}
					for _, sample := range one.Samples().All() {
						for _, v := range sample.Values().All() {
							sums[guest][innermost(d, sample)] += float64(v)
						}
					}
				}
			}
		}
	}
	return sums
}

// durations are the mean durations of spans in seconds, by guest and name.
func durations(t *testing.T, col *collectortest.Collector) map[string]map[string]float64 {
	t.Helper()
	metrics, err := col.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	means := map[string]map[string]float64{}
	for _, m := range metrics {
		if m.Name() != "ukdbg.span.duration" {
			continue
		}
		// They add up; the last is of all.
		for _, p := range m.Histogram().DataPoints().All() {
			guest := text(p.Attributes(), "guest")
			if means[guest] == nil {
				means[guest] = map[string]float64{}
			}
			means[guest][text(p.Attributes(), "span.name")] = p.Sum() / float64(max(p.Count(), 1))
		}
	}
	return means
}

// innermost names the innermost function of a sample.
func innermost(d pprofile.ProfilesDictionary, s pprofile.Sample) string {
	for _, loc := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		for _, l := range d.LocationTable().At(int(loc)).Lines().All() {
			return d.StringTable().At(int(d.FunctionTable().At(int(l.FunctionIndex())).NameStrindex()))
		}
	}
	return ""
}
