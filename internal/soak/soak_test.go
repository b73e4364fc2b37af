package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/ukdbg/ukdbg/internal/collectortest"
)

// size is how long the test takes, and with how many guests.
func size(t *testing.T) (time.Duration, int) {
	if os.Getenv("UKDBG_SOAK") == "" {
		return 30 * time.Second, 3
	}
	d := 10 * time.Minute
	if text := os.Getenv("UKDBG_SOAK_TIME"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	return d, 10
}

func TestAgentSoak(t *testing.T) {
	length, guests := size(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("UKDBG_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("UKDBG_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir, err := os.MkdirTemp("", "uksoak") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fleet{dir: dir}
	f.boot, _ = extract(t, dir, "ukguest-x86_64-ring")

	received := t.TempDir()
	col := collectortest.Run(t, collectortest.Options{Dir: received})
	grpc, http1 := col.GRPC, col.HTTP
	a := newAgent(t, dir, http1)
	a.start(t)
	defer a.kill()
	prometheus := scrape(t, a.listen)

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	for n := range guests {
		f.wg.Go(func() { f.run(ctx, t, n, rand.New(rand.NewPCG(seed, uint64(n+1)))) })
	}
	agentKills, collectorKills, up := 0, 0, false
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-time.After(3*time.Second + time.Duration(rnd.IntN(4000))*time.Millisecond):
		}
		up = up || value(prometheus, "count(ukdbg_guest_up) or count({__name__=~\"ukdbg_.*\"})") != ""
		if rnd.IntN(2) == 0 {
			a.kill()
			agentKills++
			time.Sleep(time.Duration(rnd.IntN(800)) * time.Millisecond)
			a.start(t)
			continue
		}
		if err := col.Kill(); err != nil {
			t.Fatal(err)
		}
		collectorKills++
		time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		col = collectortest.Run(t, collectortest.Options{Dir: received, GRPC: grpc, HTTP: http1})
	}
	f.wg.Wait()
	want, all := f.reports(t)
	t.Logf("agent killed %d times, collector %d times; %d fault reports on %d consoles", agentKills, collectorKills, all, len(want))
	if all == 0 {
		t.Fatal("no guest died: the test tells nothing")
	}
	var got map[string]map[string]bool
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if got = faultsIn(t, col); sum(got) >= all {
			break
		}
	}
	for path, n := range want {
		if len(got[path]) != n {
			t.Errorf("%s: %d faults came of %d: %v", filepath.Base(path), len(got[path]), n, slices.Sorted(maps.Keys(got[path])))
			if b, err := os.ReadFile(path); err == nil {
				t.Logf("%s", b)
			}
		}
	}
	if !up {
		t.Error("Prometheus has scraped nothing")
	}
	requests(t, col, agentKills)
	if t.Failed() {
		t.Logf("agent:\n%s", a.said())
	}
}

func sum(got map[string]map[string]bool) (n int) {
	for _, ids := range got {
		n += len(ids)
	}
	return n
}

// faultsIn returns the IDs of the faults that came, by console.
func faultsIn(t *testing.T, col *collectortest.Collector) map[string]map[string]bool {
	t.Helper()
	list, err := col.Logs()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]bool{}
	for _, r := range list {
		path, id := text(r.Attributes(), "log.file.path"), text(r.Attributes(), "log.record.uid")
		if r.EventName() != "ukdbg.guest.fault" || id == "" {
			continue
		}
		if got[path] == nil {
			got[path] = map[string]bool{}
		}
		got[path][id+" "+r.Body().AsString()] = true
	}
	return got
}

func text(m pcommon.Map, key string) string {
	v, ok := m.Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}

// requests looks for holes in the numbers of the requests that came of each run of
// a guest. The agent's death may make one, as it then reads no trace; the
// collector's none.
func requests(t *testing.T, col *collectortest.Collector, kills int) {
	t.Helper()
	spans, err := col.Spans()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string][]uint64{}
	for _, s := range spans {
		if s.Name() != "request_serve" {
			continue
		}
		id, err := strconv.ParseUint(text(s.Attributes(), "ukdbg.arg.0"), 0, 64)
		if err != nil {
			t.Fatalf("a request without a number: %v", s.Attributes().AsRaw())
		}
		instance := text(s.Resource.Attributes(), "service.instance.id")
		ids[instance] = append(ids[instance], id)
	}
	total, holes := 0, 0
	for instance, list := range ids {
		slices.Sort(list)
		list = slices.Compact(list)
		total += len(list)
		n := 0
		for i := 1; i < len(list); i++ {
			if list[i] != list[i-1]+1 {
				n++
				t.Logf("%s: requests %d to %d are missing", instance, list[i-1]+1, list[i]-1)
			}
		}
		holes += n
		if n > kills {
			t.Errorf("%s: %d holes among %d requests, and the agent was killed %d times", instance, n, len(list), kills)
		}
	}
	t.Logf("%d requests of %d runs of guests came, with %d holes", total, len(ids), holes)
	if total == 0 {
		t.Error("no request came")
	}
}

// agent is "ukdbg agent" in a process of its own.
type agent struct {
	program, dir, config, listen string
	cmd                          *exec.Cmd
	log                          *os.File
}

func newAgent(t *testing.T, dir, collector string) *agent {
	t.Helper()
	a := &agent{program: filepath.Join(dir, "ukdbg"), dir: dir, config: filepath.Join(dir, "agent.yaml"), listen: freePort(t)}
	build := exec.Command("go", "build", "-o", a.program, "github.com/ukdbg/ukdbg/cmd/ukdbg")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := fmt.Sprintf(`
guests: {include: ["%[5]s*"], every: 1s}
images: {dirs: [%[1]q]}
profile: {every: 10s, duration: 2s}
traces: {keep: 1, spans_per_second: 100000}
console: {state: %[1]q, from_start: true}
limits: {cpu: 100%%, spool: %[2]q}
export: {every: 2s, otlp: [{url: "http://%[3]s", signals: [traces, metrics, logs, profiles]}]}
listen: {address: %[4]q}
`, dir, filepath.Join(dir, "spool"), collector, a.listen, prefix())
	if err := os.WriteFile(a.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.log, err = os.Create(filepath.Join(dir, "agent.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.log.Close() })
	return a
}

func (a *agent) start(t *testing.T) {
	t.Helper()
	a.cmd = exec.Command(a.program, "agent", "--config", a.config)
	a.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(a.dir, "state"), "XDG_CACHE_HOME="+filepath.Join(a.dir, "cache"))
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9.
func (a *agent) kill() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
}

func (a *agent) said() string {
	b, _ := os.ReadFile(a.log.Name())
	return string(b[max(0, len(b)-8<<10):])
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape starts Debian's Prometheus, which scrapes the agent, and returns where it
// is asked.
func scrape(t *testing.T, target string) string {
	t.Helper()
	dir, addr := t.TempDir(), freePort(t)
	config := filepath.Join(dir, "prometheus.yml")
	yaml := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: ukdbg, static_configs: [{targets: [%q]}]}]\n", target)
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("no Prometheus to scrape with (make tools installs it): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return addr
}

// value is that of an instant query, "" for none.
func value(addr, query string) string {
	resp, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err != nil || json.Unmarshal(b, &answer) != nil || len(answer.Data.Result) == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(answer.Data.Result[0].Value[1]))
}
