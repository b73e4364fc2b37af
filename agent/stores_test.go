package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
	"github.com/ukdbg/ukdbg/internal/storetest"
)

// The agent, told by its file, pushes what it samples to Pyroscope and Parca by each of
// their two ways, with tenant and credentials; who takes it finds the guest in the
// labels, and in the profile functions of its image and threads.
func TestStores(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ingest, connect, parca := storetest.Pyroscope(t), storetest.Pyroscope(t), storetest.Parca(t)
	name := unique(t, "store-a")
	file := filepath.Join(dir, "agent.yaml")
	text := fmt.Sprintf(`listen: {address: "127.0.0.1:0"}
guests: {include: [%[1]s], every: 500ms}
profile: {every: 1s, duration: 500ms}
limits: {cpu: 200%%, spool: %[2]q}
resource: {namespace: shop, attributes: {team: blue}}
export:
  pyroscope:
    - {url: %[3]q, mode: ingest, tenant: team-a, user: "7", password_file: %[6]q}
    - {url: %[4]q, mode: connect, bearer_file: %[6]q}
  parca:
    - {url: %[5]q, bearer_file: %[6]q}
    - {url: %[7]q}
`, name, filepath.Join(dir, "spool"), ingest.URL, connect.URL, "grpc://"+parca.GRPC, secret, parca.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	vm := fake(t, snap, fakevmm.Options{Name: name, Shared: true})
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	a := run(t, c, func(o *Options) { o.File = file })
	check := func(store *storetest.Store, n int, series string) (got []storetest.Profile) {
		t.Helper()
		for end := time.Now().Add(patience); len(got) < n && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			got = store.Profiles()
		}
		if len(got) < n {
			t.Fatalf("%d profiles came; refused: %v", len(got), store.Refused())
		}
		for _, p := range got {
			if p.Labels["__name__"] != series || p.Labels["service_name"] != name || len(p.Labels["instance"]) != 32 || p.Labels["host"] != hostname() {
				t.Errorf("labels %v", p.Labels)
			}
			if types := p.Profile.SampleType; len(types) != 2 || types[0].Type != "samples" || types[1].Type != "cpu" || types[1].Unit != "nanoseconds" {
				t.Errorf("sample types %v", types)
			}
			named, threads := false, false
			for _, s := range p.Profile.Sample {
				for _, loc := range s.Location {
					for _, l := range loc.Line {
						named = named || l.Function.Name == "idle_main"
					}
				}
				threads = threads || len(s.Label["thread"]) == 1
			}
			if !named || !threads || p.Profile.DurationNanos < 4e8 {
				t.Errorf("named %v, with threads %v, %d ns", named, threads, p.Profile.DurationNanos)
			}
		}
		return got
	}
	p := check(ingest, 2, name+".cpu")[0]
	if user, password, _ := exporttest.BasicAuth(p.Header); user != "7" || password != "s3cret" || p.Header.Get("X-Scope-OrgID") != "team-a" || p.Until.Sub(p.From) < 400*time.Millisecond {
		t.Errorf("%v, from %v to %v", p.Header, p.From, p.Until)
	}
	p = check(connect, 2, "process_cpu")[0]
	if p.Header.Get("Authorization") != "Bearer s3cret" {
		t.Errorf("%v", p.Header)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		ways := map[string]bool{} // one of the two may be slower
		for _, p := range parca.Profiles() {
			ways[p.Header.Get("Authorization")] = true
		}
		if len(ways) > 1 {
			break
		}
	}
	with, without := 0, 0
	for _, p := range check(parca, 4, "process_cpu") {
		switch p.Header.Get("Authorization") {
		case "Bearer s3cret":
			with++
		case "":
			without++
		}
		if !p.Normalized {
			t.Errorf("addresses of %s are said to be moved", p.Labels["service_name"])
		}
	}
	if with == 0 || without == 0 {
		t.Errorf("%d profiles over gRPC, %d over HTTP", with, without)
	}
	a.end()
	for _, s := range []*storetest.Store{ingest, connect, parca} {
		if refused := s.Refused(); len(refused) > 0 {
			t.Errorf("refused: %v", refused)
		}
	}
}
