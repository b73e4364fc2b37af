package stacks_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters/stacks"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/profiler"
)

func TestFolded(t *testing.T) {
	var b bytes.Buffer
	if err := stacks.WriteFolded(&b, exporttest.Profile()); err != nil {
		t.Fatal(err)
	}
	want := `worker-1;entry (guessed);ns::worker<int>;serve;memcpy_fast 600000000
worker-1;[stack not captured further];ns::worker<int> 200000000
0xffff800000001000 100000000
</script><b>x:y?�;ns::worker<int>;ns::worker<int> 50000000
idle;halt 50000000
`
	if b.String() != strings.ReplaceAll(want, `\ufffd`, "\ufffd") {
		t.Errorf("%s", &b)
	}
}

// A profile that stands for no time shows how often.
func TestCounted(t *testing.T) {
	p := exporttest.Profile()
	for i := range p.Samples {
		p.Samples[i].Value = 0
	}
	if tree := stacks.Tree(p); tree.Total != 100 || tree.Children[0].Total != 80 {
		t.Errorf("%d, the largest %d", tree.Total, tree.Children[0].Total)
	}
}

// A real browser draws the page; the guest's text stays text.
func TestInABrowser(t *testing.T) {
	for _, kind := range []profiler.Kind{profiler.CPU, profiler.Heap} {
		p := exporttest.Profile()
		p.Kind = kind
		path := filepath.Join(t.TempDir(), "flame.html")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := stacks.WriteHTML(f, p, "shop <b>"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		dom, console, _ := exporttest.Chromium(t, path)
		if !strings.Contains(dom, `data-ready="yes"`) {
			t.Fatalf("the page's script did not come to its end; console:\n%s", console)
		}
		for _, want := range []string{">memcpy_fast</div>", "shop &lt;b&gt;</h1>", "&lt;/script&gt;&lt;b&gt;x;y", ">[stack not captured further]</div>"} {
			if !strings.Contains(dom, want) {
				t.Errorf("%s: the page has no %s", kind, want)
			}
		}
		if strings.Contains(dom, "<b>") {
			t.Error("the guest's text became a part of the page")
		}
		if strings.Contains(console, "Content Security Policy") {
			t.Error(console)
		}
	}
}
