package pprof_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/exporters/folded"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

// A trace's tree is read back by pprof's own package and by go tool pprof.
func TestTree(t *testing.T) {
	const n = 300
	root, err := folded.Build(exporttest.Trace(n).Spans, folded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trace.pb.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := pprof.WriteTree(f, root, pprof.TreeOptions{Start: time.Unix(0, exporttest.Boot), Duration: time.Second}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	var count, total int64
	threads := map[string]int64{}
	for _, s := range p.Sample {
		count += s.Value[0]
		total += s.Value[1]
		threads[s.Label["thread"][0]] += s.Value[1]
		if leaf := s.Location[0].Line[0].Function.Name; (leaf == "vfs_read") != (s.Value[1] == n/3*200_000) {
			t.Errorf("%s has %d ns", leaf, s.Value[1])
		}
	}
	if count != 3*n || total != n*400_000 || len(threads) != 3 || threads["worker-1"] != n/3*400_000 || p.TimeNanos != exporttest.Boot {
		t.Errorf("%d spans, %d ns, threads %v", count, total, threads)
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-unit=ms", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "60ms 50.00% 50.00%       60ms 50.00%  vfs_read") || !strings.Contains(string(out), "120ms   100%  request_serve") {
		t.Errorf("go tool pprof: %v\n%s", err, out)
	}
}
