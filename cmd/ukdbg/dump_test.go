package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// unpacked is the ELF core in a dump.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// told is what every reading verb says of a target, but for the target's name
// and what a target alone has.
func told(t *testing.T, g *guest, at string) string {
	t.Helper()
	var out strings.Builder
	for _, words := range [][]string{
		{"threads", "--stacks"}, {"threads", "--json"}, {"heap"}, {"heap", "--json"}, {"trace", "list"}, {"trace", "summary"}, {"crash"}, {"crash", "--json"},
		{"heap", "--owner", "&cache", "--owner", "_uk_alloc_head", "--owner", "$sp"},
	} {
		args := append(append([]string{}, words...), at, "-e", g.Debug)
		status, text, _ := verb(t, "", args...)
		fmt.Fprintf(&out, "== %q: %d\n%s\n", words, status, text)
	}
	commands := "bt all\ndmesg\nprint cache\nprint server\nprint gallery\nprint *cache.buckets[1]->next == 0\nprint server.current\nfault\nthread 2\ninfo locals\nup\ninfo locals\ninfo args\n" +
		"x/16gx $sp\ndisassemble\nowner &cache\nowner $sp\n"
	_, text, _ := verb(t, commands, "attach", at, "-e", g.Debug)
	out.WriteString(text)
	s := regexp.MustCompile(`(?m)^(stopped|seen|dumped) in `).ReplaceAllString(out.String(), "in ")
	s = regexp.MustCompile(`(?m)^(observed, not touched.*|guest left paused.*|guest never stopped.*|a minimal dump: .*)\n`).ReplaceAllString(s, "")
	return strings.ReplaceAll(strings.ReplaceAll(s, "core:"+at, "TARGET"), at, "TARGET")
}

// Every verb that reads says the same of the paused guest, of its dump and of its
// minimal dump, of the crashed one too.
func TestDumpTellsTheSame(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		for _, fault := range []string{"none", "null"} {
			t.Run(arch+"/"+fault, func(t *testing.T) {
				g := boot(t, guesttest.Options{Image: "ukguest-" + arch, GDB: "tcp", QMP: true, Append: "rate=100 after=60 fault=" + fault})
				if fault == "none" {
					g.WaitConsole(t, "requests served", patience)
				} else {
					g.WaitConsole(t, "Unikraft halted", patience)
				}
				g.QMP(t, "stop", nil)
				vm := "qmp:" + g.QMPPath
				dir := t.TempDir()
				full, small := filepath.Join(dir, "full.zst"), filepath.Join(dir, "minimal.zst")
				for _, words := range [][]string{{vm, "-o", full}, {vm, "-o", small, "--minimal"}} {
					var a dumpJSON
					if err := json.Unmarshal([]byte(mustVerb(t, append([]string{"dump", "-e", g.Debug, "--json"}, words...)...)), &a); err != nil {
						t.Fatal(err)
					}
					st, err := os.Stat(a.File)
					if err != nil || st.Mode() != 0o600 || st.Size() != a.Size || !a.Instant || a.Torn != "" || a.StoppedNS != 0 || a.CPUs != 1 {
						t.Errorf("%+v, %v, %v", a, st, err)
					}
				}
				live := told(t, g, vm)
				if n := strings.Count(live, "\n"); n < 500 || !strings.Contains(live, "worker-2") || !strings.Contains(live, "$3 = ") {
					t.Fatalf("%d lines:\n%.3000s", n, live)
				}
				if fault == "null" && !strings.Contains(live, "through a null pointer") {
					t.Errorf("no crash is told:\n%.3000s", live)
				}
				for _, dump := range []string{full, small} {
					if got := told(t, g, dump); got != live {
						t.Errorf("%s differs from the guest %s", filepath.Base(dump), firstDifference(got, live))
					}
				}
				// A dump of a dump is one, too.
				again := filepath.Join(dir, "again.zst")
				mustVerb(t, "dump", full, "-e", g.Debug, "-o", again, "--minimal")
				if got := told(t, g, again); got != live {
					t.Errorf("a minimal dump of the full dump %s", firstDifference(got, live))
				}
				if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) != 0 {
					t.Errorf("left behind: %v %v", left, err)
				}
				checkPrivacy(t, g, vm, full, small)
				checkGDB(t, g, dir, full)
			})
		}
	}
}

// checkPrivacy proves that what a heap object holds is in the full dump and not
// in the minimal one, while the object's numbers are.
func checkPrivacy(t *testing.T, g *guest, at, full, small string) {
	t.Helper()
	entry := "cache.buckets[%d]"
	for i := range 8 {
		e := fmt.Sprintf(entry, i)
		_, text, _ := verb(t, "print/x *(unsigned long *)"+e+"->data\nprint "+e+"->size\n", "attach", at, "-e", g.Debug)
		m := regexp.MustCompile(`\$1 = (0x[0-9a-f]+)\n\$2 = (\d+)`).FindStringSubmatch(text)
		if m == nil {
			continue
		}
		word, err := strconv.ParseUint(m[1], 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		var payload []byte
		for k := range 8 {
			payload = append(payload, byte(word>>(8*k)))
		}
		// The bytes go on by sevens: guest/app/disk.c.
		for len(payload) < 64 {
			payload = append(payload, payload[len(payload)-1]+7)
		}
		if !bytes.Contains(unpacked(t, full), payload) {
			t.Fatalf("the full dump lacks the payload %x", payload)
		}
		if bytes.Contains(unpacked(t, small), payload) {
			t.Errorf("the minimal dump has the payload %x", payload)
		}
		_, text, _ = verb(t, "print "+e+"->size\nprint "+e+"->path\nx/gx "+e+"->data\n", "attach", small, "-e", g.Debug)
		if !strings.Contains(text, "$1 = "+m[2]) || strings.Count(text, "Cannot access memory") != 2 {
			t.Errorf("the minimal dump shows %s", text)
		}
		// The rest of an entry is shown beside the array that was left out.
		_, text, _ = verb(t, "print *"+e+"\n", "attach", small, "-e", g.Debug)
		if !strings.Contains(text, "path = <left out of this dump>") || !strings.Contains(text, "size = "+m[2]) {
			t.Errorf("an entry of the minimal dump: %s", text)
		}
		return
	}
	t.Fatal("the cache is empty")
}

// checkGDB proves that gdb opens an unpacked dump and sees the same innermost
// function and the same variable.
func checkGDB(t *testing.T, g *guest, dir, dump string) {
	t.Helper()
	core := filepath.Join(dir, "core.elf")
	if err := os.WriteFile(core, unpacked(t, dump), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("gdb-multiarch", "-nx", "-q", "-batch", "-ex", "bt", "-ex", "p server.stats", g.Debug, core).CombinedOutput()
	if err != nil {
		t.Fatalf("gdb: %v\n%s", err, out)
	}
	_, ours, _ := verb(t, "bt\np server.stats\n", "attach", dump, "-e", g.Debug)
	for _, re := range []string{`#0 +(?:0x[0-9a-f]+ in )?(\w+)`, `#1 +(?:0x[0-9a-f]+ in )?(\w+)`, `\$1 = (\{.*\})`} {
		r := regexp.MustCompile(re)
		a, b := r.FindSubmatch(out), r.FindStringSubmatch(ours)
		if a == nil || b == nil || string(a[1]) != b[1] {
			t.Errorf("gdb shows %q, ukdbg %q", a, b)
		}
	}
}

// A running guest is dumped without a stop, or in one that is told and ends.
func TestDumpRunning(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", QMP: true, Append: "rate=200"})
	g.WaitConsole(t, "requests served", patience)
	vm, dir := "qmp:"+g.QMPPath, t.TempDir()
	dump := func(words ...string) (a dumpJSON) {
		t.Helper()
		name := filepath.Join(dir, "d")
		if err := json.Unmarshal([]byte(mustVerb(t, append([]string{"dump", "-e", g.Debug, "--json", "-o", name}, words...)...)), &a); err != nil {
			t.Fatal(err)
		}
		out := mustVerb(t, "threads", name, "-e", g.Debug)
		if !strings.Contains(out, "worker-3") || !strings.Contains(out, "acceptor") {
			t.Errorf("%q: %s", words, out)
		}
		if !g.Running(t) {
			t.Errorf("%q: the guest stands", words)
		}
		return a
	}
	stops := func() (n int) {
		for _, e := range g.Events() {
			if e.Name == "STOP" {
				n++
			}
		}
		return n
	}
	for _, words := range [][]string{{vm}, {vm, "--minimal"}} {
		if a := dump(words...); a.Instant || a.StoppedNS != 0 || stops() != 0 {
			t.Errorf("%q: %+v, %d stops", words, a, stops())
		}
	}
	for _, words := range [][]string{{vm, "--pause"}, {vm, "--minimal", "--pause"}, {g.GDBAddr()}, {g.GDBAddr(), "--minimal"}} {
		n := stops()
		if a := dump(words...); !a.Instant || a.Torn != "" || stops() == n {
			t.Errorf("%q: %+v, %d stops", words, a, stops()-n)
		}
	}
	// In short stops: only what is read that way.
	if a := dump(g.GDBAddr(), "--minimal", "--max-pause", "20ms"); a.Instant {
		t.Errorf("%+v", a)
	}
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"dump", vm}, "-o FILE"},
		{[]string{"dump", vm, "-o", filepath.Join(dir, "x"), "--minimal"}, "-e NAME.dbg"},
		{[]string{"dump", vm, "-o", filepath.Join(dir, "x"), "--depth", "-3"}, "--depth"},
	} {
		if status, _, errs := verb(t, "", c.words...); status != exitUsage || !strings.Contains(errs, c.want) {
			t.Errorf("%q: status %d, %s", c.words, status, errs)
		}
	}
	if status, _, _ := verb(t, "", "dump", vm, "-e", g.Debug, "-o", filepath.Join(dir, "no", "such")); status != exitFailed {
		t.Errorf("a folder that is not there: status %d", status)
	}
}
