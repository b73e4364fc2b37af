package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/collectortest"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/internal/storetest"
)

// A profile of a running guest arrives at each kind of store with the guest's name,
// run, host and image, and the threads in its samples.
func TestProfilePush(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", QMP: true})
	g.WaitConsole(t, "requests served", patience)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	push := func(kind string, args ...string) string {
		return mustVerb(t, append([]string{"profile", kind, "qmp:" + g.QMPPath, "-e", g.Debug, "-d", "1s"}, args...)...)
	}

	scope, parca := storetest.Pyroscope(t), storetest.Parca(t)
	out := push("cpu", "--json", "--to", "pyroscope+"+scope.URL, "--service", "shop", "--header", "X-Scope-OrgID=team-a", "--token-file", token)
	var answer struct {
		Kind   string
		Pushed struct{ Accepted, Failed int }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Kind != "cpu" || answer.Pushed.Accepted != 1 || answer.Pushed.Failed != 0 {
		t.Errorf("%+v %v", answer, err)
	}
	push("cpu", "--to", "pyroscope+"+scope.URL+"/ingest")
	push("wall", "--to", "parca+"+parca.URL)
	push("wall", "--to", "parca+grpc://"+parca.GRPC)
	all := append(scope.Profiles(), parca.Profiles()...)
	if len(all) != 4 {
		t.Fatalf("%d profiles; refused: %q %q", len(all), scope.Refused(), parca.Refused())
	}
	for i, p := range all {
		want := "ukguest-x86_64"
		if i == 0 {
			want = "shop"
		}
		if p.Labels["service_name"] != want || p.Labels["instance"] == "" || p.Labels["instance"] != all[0].Labels["instance"] || p.Labels["host"] == "" || p.Labels["image"] == "" {
			t.Errorf("%d: labels %v", i, p.Labels)
		}
		threads := map[string]bool{}
		for _, s := range p.Profile.Sample {
			for _, name := range s.Label["thread"] {
				threads[name] = true
			}
		}
		kind, name := "cpu", "process_cpu"
		switch {
		case i == 1: // by /ingest
			name = want + ".cpu"
		case i >= 2:
			kind, name = "wall", "wall"
		}
		// On the processor may be nobody but idle; somewhere every thread is.
		if value := p.Profile.SampleType[1]; len(threads) == 0 || i >= 2 && !threads["worker-1"] || value.Type != kind || value.Unit != "nanoseconds" || p.Labels["__name__"] != name {
			t.Errorf("%d: threads %v, %s in %s, labels %v", i, threads, value.Type, value.Unit, p.Labels)
		}
		if i >= 2 && !p.Normalized { // the image runs where it was linked
			t.Errorf("%d: addresses are not told to be the file's", i)
		}
	}
	if h := all[0].Header; h.Get("X-Scope-Orgid") != "team-a" || h.Get("Authorization") != "Bearer t0ken" {
		t.Errorf("headers %v", h)
	}

	c := collectortest.Run(t, collectortest.Options{})
	push("cpu", "--to", "grpc://"+c.GRPC)
	mustVerb(t, "profile", "lock", "qmp:"+g.QMPPath, "-e", g.Debug, "-d", "1s", "--to", "http://"+c.HTTP)
	got, err := c.Profiles()
	if err != nil || len(got) != 2 {
		t.Fatalf("%d exports of profiles, %v", len(got), err)
	}
	for _, d := range got {
		r := d.ResourceProfiles().At(0)
		name, _ := r.Resource().Attributes().Get("service.name")
		instance, _ := r.Resource().Attributes().Get("service.instance.id")
		if name.Str() != "ukguest-x86_64" || instance.Str() == "" || r.ScopeProfiles().At(0).Profiles().At(0).Samples().Len() == 0 {
			t.Errorf("resource %v", r.Resource().Attributes().AsRaw())
		}
	}
	g.mustServe(t)
}

// What cannot be sent is told, and kept with a spool; a wrong receiver is told
// before the guest is looked at.
func TestProfilePushFails(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", QMP: true})
	g.WaitConsole(t, "requests served", patience)
	kept := filepath.Join(t.TempDir(), "spool")
	take := func(to string) []string {
		return []string{"profile", "wall", "qmp:" + g.QMPPath, "-e", g.Debug, "-d", "300ms", "--spool", kept, "--patience", "10ms", "--to", to}
	}
	status, out, errs := verb(t, "", take("parca+http://127.0.0.1:1")...)
	if status != exitFailed || !strings.Contains(errs, "1 batch waits in the spool") || !strings.Contains(out, "worker_main") {
		t.Errorf("status %d: %s\n%s", status, errs, out)
	}
	parca := storetest.Parca(t)
	status, _, errs = verb(t, "", take("parca+"+parca.URL)...)
	if got := parca.Profiles(); status != exitOK || len(got) != 2 || got[0].Labels["__name__"] != "wall" || !strings.Contains(errs, "1 from the spool") {
		t.Errorf("status %d, %d profiles: %s", status, len(got), errs)
	}
	for _, to := range []string{"loki+http://h", "pyroscope+grpc://h:1", "parca+h:1", "h:1"} {
		if status, _, errs := verb(t, "", "profile", "cpu", "qmp:/nowhere", "--to", to); status != exitUsage || !strings.Contains(errs, "want") {
			t.Errorf("%s: status %d: %s", to, status, errs)
		}
	}
}
