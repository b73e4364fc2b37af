package firefox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters/firefox"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/profiler"
)

// The Firefox Profiler itself opens the file and adds the stacks up.
func TestInTheFirefoxProfiler(t *testing.T) {
	for _, kind := range []profiler.Kind{profiler.CPU, profiler.Heap} {
		p := exporttest.Profile()
		p.Kind = kind
		path := filepath.Join(t.TempDir(), "profile.json")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := firefox.Write(f, p, "shop"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		answers := exporttest.FirefoxProfiler(t, path, "profile info", "thread select t-0", "thread samples-top-down --include-idle")
		if info := answers[0]; !strings.Contains(info, "worker-1") || !strings.Contains(info, "shop") {
			t.Errorf("%s: profile info:\n%s", kind, info)
		}
		tree := answers[2]
		for _, want := range []string{
			"entry (guessed) [total: 75.0%, self: 0.0%]", "ns::worker<int> [total: 75.0%, self: 0.0%]",
			"serve [total: 75.0%, self: 0.0%]", "memcpy_fast [total: 75.0%, self: 75.0%]", profiler.NotCaptured + " [total: 25.0%",
		} {
			if !strings.Contains(tree, want) {
				t.Errorf("%s: no %q in\n%s", kind, want, tree)
			}
		}
	}
}
