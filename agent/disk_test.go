package agent

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
	"github.com/ukdbg/ukdbg/internal/smalldisk"
)

// scraped is what /metrics says at this moment.
func (r *running) scraped() string {
	r.t.Helper()
	res, err := http.Get("http://" + r.at + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// scrapes waits until /metrics has a line.
func (r *running) scrapes(line string) {
	r.t.Helper()
	re := regexp.MustCompile("(?m)^" + line + "$")
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if re.MatchString(r.scraped()) {
			return
		}
		if time.Now().After(end) {
			name, _, _ := strings.Cut(line, `\{`)
			has := regexp.MustCompile("(?m)^"+name+".*$").FindAllString(r.scraped(), -1)
			r.t.Fatalf("/metrics has no line %s:\n%s", line, strings.Join(has, "\n"))
		}
	}
}

// A disk that is full, with everything on it that the agent writes: it goes on, says
// so in its log, page and metrics, keeps in memory what it can, and writes again when
// there is room. Nothing of what was found meanwhile is lost.
func TestFullDisk(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	disk := smalldisk.Make(t, 4<<20)
	sink := newCollector(t)
	sink.down(true)
	c := quick(t, unique(t, "full-*"))
	c.Console.State, c.Limits.Spool = filepath.Join(disk.Dir, "consoles"), filepath.Join(disk.Dir, "spool")
	sink.to(c)
	name := unique(t, "full-a")
	log := filepath.Join(t.TempDir(), "console")
	appendTo(t, log, "up\n")
	vm := fake(t, snap, fakevmm.Options{Name: name, Console: log, Shared: true})
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	a := run(t, c, func(o *Options) { o.CacheDir = filepath.Join(disk.Dir, "cache") })
	a.guest(name, func(g status.Guest) bool { return g.Console == log && g.Profile.Samples > 0 })
	disk.Fill(t)
	appendTo(t, log, report)
	a.said("no space left on device; kept in memory")
	a.said(name + ": console: how far it was read cannot be kept")
	a.scrapes(`ukdbg_export_spool_failing\{.*signal="logs"\} 1`)
	a.scrapes(`ukdbg_guest_console_unkept\{guest="` + name + `".*\} 1`)
	if p := a.page(); !strings.Contains(strings.Join(p.Problems, " "), "no space left on device") {
		t.Errorf("the page does not tell: %v", p.Problems)
	}
	samples := a.guest(name, known).Profile.At
	a.guest(name, func(g status.Guest) bool { return g.Profile.At.After(samples) })

	disk.Empty(t)
	a.said("the spool takes batches again")
	a.said(name + ": console: all is well again")
	a.scrapes(`ukdbg_export_spool_failing\{.*signal="metrics"\} 0`)
	a.scrapes(`ukdbg_guest_console_unkept\{guest="` + name + `".*\} 0`)
	for _, line := range strings.Split(a.scraped(), "\n") {
		if strings.HasPrefix(line, "ukdbg_export_dropped") && !strings.HasSuffix(line, " 0") {
			t.Errorf("lost: %s", line)
		}
	}
	// It ends with its receiver away: what was in memory is on the disk now.
	a.end()
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	sink.down(false)
	run(t, c, nil)
	oneFault(t, sink, name)
	if left, err := filepath.Glob(filepath.Join(disk.Dir, "*", "*", "unfinished")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// oneFault waits for the one fault record that comes, the guest's.
func oneFault(t *testing.T, sink *collector, guest string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		guests, ids := faultsOf(t, sink)
		if len(ids) == 1 && guests[0] == guest {
			return
		}
		if len(ids) > 1 || time.Now().After(end) {
			t.Fatalf("faults of %v, as %v", guests, ids)
		}
	}
}

// A first start on a full disk, on which none of the agent's folders is there: it begins
// with what it can hold in memory and says so, and makes the folders when there is room.
func TestFirstStartOnFullDisk(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	disk := smalldisk.Make(t, 1<<20)
	disk.FillNames(t)
	sink := newCollector(t)
	sink.down(true)
	c := quick(t, unique(t, "first-*"))
	c.Profile.Enabled = false
	c.Console.State, c.Limits.Spool = filepath.Join(disk.Dir, "state", "consoles"), filepath.Join(disk.Dir, "state", "spool")
	c.Console.KeepCrashed, c.Console.DumpDir = 10*time.Second, filepath.Join(disk.Dir, "state", "dumps")
	sink.to(c)
	name := unique(t, "first-a")
	log := filepath.Join(t.TempDir(), "console")
	appendTo(t, log, "up\n")
	vm := fake(t, snap, fakevmm.Options{Name: name, Console: log, Shared: true})
	a := run(t, c, func(o *Options) { o.CacheDir = filepath.Join(disk.Dir, "cache") })
	a.said("dumps of guests that die: mkdir " + filepath.Join(disk.Dir, "state") + ": no space left on device; made as soon as there is room")
	a.said("logs: spool: mkdir " + filepath.Join(disk.Dir, "state") + ": no space left on device; kept in memory")
	a.guest(name, func(g status.Guest) bool { return g.Console == log && known(g) })
	a.scrapes(`ukdbg_export_spool_failing\{.*signal="logs"\} 1`)
	appendTo(t, log, report)
	a.scrapes(`ukdbg_export_waiting\{.*signal="logs"\} 1`)
	a.said(name + ": console: how far it was read cannot be kept")
	if made, err := filepath.Glob(filepath.Join(disk.Dir, "state", "*")); err != nil || len(made) > 0 {
		t.Fatalf("the disk is not full: %v, %v", made, err)
	}

	disk.Empty(t)
	a.said("metrics: the spool takes batches again")
	a.said(name + ": console: all is well again")
	// It ends with its receiver away, and nothing is lost.
	a.end()
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	sink.down(false)
	run(t, c, nil)
	oneFault(t, sink, name)
	if st, err := os.Stat(c.Console.DumpDir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder for dumps: %v, %v", st, err)
	}
}

// A configuration that is read again uses on the receivers of which it says the same,
// and hands what waits of one that it changes to its successor.
func TestReloadKeepsReceivers(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	sink := newCollector(t)
	sink.down(true)
	dir := t.TempDir()
	file, spool, log := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "spool"), filepath.Join(dir, "console")
	appendTo(t, log, "up\n")
	name := unique(t, "again-a")
	vm := fake(t, snap, fakevmm.Options{Name: name, Console: log, Shared: true})
	text := "listen: {address: \"127.0.0.1:0\"}\nguests: {every: 500ms, include: [" + name + "]}\nprofile: {enabled: false}\nlimits: {spool: " + spool + "}\n"
	write := func(more string) {
		if err := os.WriteFile(file+".new", []byte(text+more), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	otlp := "export: {otlp: [{url: \"" + sink.URL + "\", signals: [logs], headers: {x: "
	write(otlp + "\"1\"}}]}\n")
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	a := run(t, c, func(o *Options) { o.File = file })
	a.guest(name, func(g status.Guest) bool { return g.Console == log && known(g) })
	appendTo(t, log, report)
	a.scrapes(`ukdbg_export_waiting\{.*signal="logs"\} 1`)
	for n, change := range []string{otlp + "\"1\"}}]}\ntraces: {enabled: false}\n", otlp + "\"2\"}}]}\n"} {
		write(change)
		a.scrapes("ukdbg_agent_config_reloads_total " + string(rune('1'+n)))
		a.scrapes(`ukdbg_export_waiting\{.*signal="logs"\} 1`)
	}
	a.scrapes("ukdbg_agent_config_refused_total 0")
	sink.down(false)
	sink.await(t, "/v1/logs", nil)
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if guests, ids := faultsOf(t, sink); len(ids) != 1 || guests[0] != name {
		t.Errorf("faults of %v, as %v", guests, ids)
	}
}
