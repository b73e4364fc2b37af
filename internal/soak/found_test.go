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

// Of two guests that serve the same, the one whose workers wait for a lock is
// found, and the lock's users are named, by what the collector got alone.
func TestFindsContention(t *testing.T) {
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
	changed := strings.Replace(string(config), "profile: {every: 10s, duration: 2s}", "profile: {kinds: [lock], every: 6s, duration: 3s, min_cpu: 0}", 1)
	if err := os.WriteFile(a.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	a.start(t)
	defer a.kill()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for n, words := range []string{"rate=20", "rate=1000"} {
		f.wg.Go(func() {
			f.once(ctx, t, n, filepath.Join(dir, fmt.Sprintf("guest%d.log", n)), words, time.Hour)
		})
	}
	defer f.wg.Wait()
	defer cancel()
	name := func(n int) string { return fmt.Sprintf("%s%d", prefix(), n) }
	var quiet, busy map[string]float64
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		all := delays(t, col)
		quiet, busy = all[name(0)], all[name(1)]
		if len(quiet) > 0 && busy[lock] > 1 {
			break
		}
	}
	t.Logf("seconds waited for locks: %v and %v", quiet, busy)
	if len(quiet) == 0 || busy[lock] < 1 || busy[lock] < 10*quiet[lock] {
		t.Errorf("the lock %q does not stand out", lock)
	}
	for other, d := range busy {
		if other != lock && d > busy[lock]/10 {
			t.Errorf("%q stands out as well", other)
		}
	}
	if t.Failed() {
		t.Logf("agent:\n%s", a.said())
	}
}

// lock is what the workers of a busy guest wait for.
const lock = "[mutex_lock cache]"

// delays returns for how many seconds threads waited, by guest and lock, in all
// the profiles that came.
func delays(t *testing.T, col *collectortest.Collector) map[string]map[string]float64 {
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
					if d.StringTable().At(int(one.SampleType().TypeStrindex())) != "delay" {
						continue
					}
					for _, sample := range one.Samples().All() {
						for _, v := range sample.Values().All() {
							sums[guest][innermost(d, sample)] += float64(v) / 1e9
						}
					}
				}
			}
		}
	}
	return sums
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
