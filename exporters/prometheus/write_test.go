package prometheus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/prometheus"
)

func text(t testing.TB, metrics ...exporters.Metric) string {
	t.Helper()
	var b bytes.Buffer
	if err := prometheus.Write(&b, metrics); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// example has every kind, hostile names and values, and names that collide.
func example() []exporters.Metric {
	guest := func(name string) []exporters.Attr { return []exporters.Attr{exporters.String("service.name", name)} }
	return []exporters.Metric{
		{Name: "ukdbg.guest.stopped", Description: "For how long ukdbg stopped the guest\nin all, \\o/.", Unit: "s", Kind: exporters.MetricCounter,
			Points: []exporters.Point{{Attrs: guest("shop"), Value: 0.0125}, {Attrs: guest("til\"l\\\n\xff"), Value: 3}}},
		{Name: "ukdbg.agent.memory", Description: "Memory in use.", Unit: "By", Points: []exporters.Point{{Value: 1 << 40}}},
		{Name: "ukdbg.agent.cpu.share", Description: "Of one core.", Unit: "1", Points: []exporters.Point{{Value: math.NaN()}}},
		{Name: "traces.span.metrics.duration", Description: "How long operations take.", Unit: "s", Kind: exporters.MetricHistogram,
			Points: []exporters.Point{{
				Attrs: []exporters.Attr{exporters.String("span.name", "vfs_read"), exporters.Bool("otel.metric.overflow", true), exporters.Int("le", -1), exporters.Pointer("at", 0x1000), exporters.Uint("span-name", 7)},
				Count: 10, Sum: 1.5, Bounds: []float64{0.001, 0.01}, Buckets: []uint64{4, 5, 1},
			}}},
		{Name: "ukdbg.none", Description: "Has no points."},
		{Name: "ukdbg.seen_total", Kind: exporters.MetricCounter, Unit: "{guest}", Description: "Guests.", Points: []exporters.Point{{Attrs: guest("a"), Value: 1}}},
		{Name: "ukdbg.seen", Kind: exporters.MetricCounter, Description: "Guests.", Points: []exporters.Point{{Attrs: guest("a"), Value: 2}, {Attrs: guest("b"), Value: math.Inf(1)}}},
		{Name: "0net.io", Unit: "By/s", Description: "Rate.", Points: []exporters.Point{{Value: -1}}},
	}
}

func TestText(t *testing.T) {
	want := `# HELP _0net_io_bytes_per_second Rate.
# TYPE _0net_io_bytes_per_second gauge
_0net_io_bytes_per_second -1
# HELP traces_span_metrics_duration_seconds How long operations take.
# TYPE traces_span_metrics_duration_seconds histogram
traces_span_metrics_duration_seconds_bucket{at="0x1000",key_le="-1",otel_metric_overflow="true",span_name="vfs_read;7",le="0.001"} 4
traces_span_metrics_duration_seconds_bucket{at="0x1000",key_le="-1",otel_metric_overflow="true",span_name="vfs_read;7",le="0.01"} 9
traces_span_metrics_duration_seconds_bucket{at="0x1000",key_le="-1",otel_metric_overflow="true",span_name="vfs_read;7",le="+Inf"} 10
traces_span_metrics_duration_seconds_sum{at="0x1000",key_le="-1",otel_metric_overflow="true",span_name="vfs_read;7"} 1.5
traces_span_metrics_duration_seconds_count{at="0x1000",key_le="-1",otel_metric_overflow="true",span_name="vfs_read;7"} 10
# HELP ukdbg_agent_cpu_share_ratio Of one core.
# TYPE ukdbg_agent_cpu_share_ratio gauge
ukdbg_agent_cpu_share_ratio NaN
# HELP ukdbg_agent_memory_bytes Memory in use.
# TYPE ukdbg_agent_memory_bytes gauge
ukdbg_agent_memory_bytes 1.099511627776e+12
# HELP ukdbg_guest_stopped_seconds_total For how long ukdbg stopped the guest\nin all, \\o/.
# TYPE ukdbg_guest_stopped_seconds_total counter
ukdbg_guest_stopped_seconds_total{service_name="shop"} 0.0125
ukdbg_guest_stopped_seconds_total{service_name="til\"l\\\n` + "\uFFFD" + `"} 3
# HELP ukdbg_seen_total Guests.
# TYPE ukdbg_seen_total counter
ukdbg_seen_total{service_name="a"} 2
ukdbg_seen_total{service_name="b"} +Inf
`
	if got := text(t, example()...); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	mixed := []exporters.Metric{{Name: "a_total", Points: []exporters.Point{{}}}, {Name: "a", Kind: exporters.MetricCounter, Points: []exporters.Point{{}}}}
	if err := prometheus.Write(&bytes.Buffer{}, mixed); err == nil || !strings.Contains(err.Error(), "another kind") {
		t.Errorf("a gauge and a counter of one name: %v", err)
	}
}

// Prometheus' own checker has nothing to say of it.
func TestPromtool(t *testing.T) {
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(text(t, example()...))
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics (make tools installs it): %v\n%s", err, out)
	}
}

// A real Prometheus scrapes it and gives the values back.
func TestPrometheusScrapes(t *testing.T) {
	page := text(t, example()...)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", prometheus.ContentType)
		fmt.Fprint(w, page)
	}))
	defer srv.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	yaml := fmt.Sprintf("global: {scrape_interval: 200ms}\nscrape_configs: [{job_name: ukdbg, static_configs: [{targets: [%q]}]}]\n", strings.TrimPrefix(srv.URL, "http://"))
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=error")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("no Prometheus to scrape with (make tools installs it): %v", err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	}()
	for query, want := range map[string]string{
		`ukdbg_guest_stopped_seconds_total{service_name="shop"}`: "0.0125",
		// PromQL itself has no U+FFFD in its strings.
		"ukdbg_guest_stopped_seconds_total{service_name=~\"til\\\"l\\\\\\\\\\n.\"}": "3",
		`ukdbg_agent_memory_bytes`: "1099511627776",
		`traces_span_metrics_duration_seconds_count{otel_metric_overflow="true"}`:                   "10",
		`histogram_quantile(0.4, traces_span_metrics_duration_seconds_bucket{span_name=~"vfs.*"})`:  "0.001",
		`traces_span_metrics_duration_seconds_bucket{le="0.01",at="0x1000",span_name="vfs_read;7"}`: "9",
	} {
		var got string
		var err error
		for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if got, err = ask(addr, query); err == nil && got != "" {
				break
			}
		}
		if got != want {
			t.Errorf("%s is %q, want %s (%v)", query, got, want, err)
		}
	}
}

// ask returns the value of an instant query, "" for none.
func ask(addr, query string) (string, error) {
	resp, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Data.Result) == 0 {
		return "", err
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), nil
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

func BenchmarkWrite(b *testing.B) {
	m := example()
	for range 200 {
		m[0].Points = append(m[0].Points, exporters.Point{Attrs: []exporters.Attr{exporters.Int("guest", int64(len(m[0].Points)))}, Value: 1})
	}
	b.ReportAllocs()
	for b.Loop() {
		text(b, m...)
	}
}
