package folded_test

import (
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/folded"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

var worker = exporters.Thread{ID: 1, Name: "wor;ker\n1", Known: true}

func sample() []exporters.Span {
	return []exporters.Span{
		{ID: 3, Parent: 2, Root: 1, Name: "inner", Start: 20, End: 30, Thread: worker},
		{ID: 4, Parent: 2, Root: 1, Name: "inner", Start: 31, End: 36, Thread: worker, Err: true},
		{ID: 2, Parent: 1, Root: 1, Name: "middle", Start: 10, End: 50, Thread: worker},
		{ID: 1, Name: "outer", Start: 0, End: 100, Thread: worker},
		{ID: 9, Parent: 8, Name: "orphan", Start: 5, End: 7},
	}
}

func TestFolded(t *testing.T) {
	for _, c := range []struct {
		opt  folded.Options
		want string
	}{
		{folded.Options{}, "wor:ker?1;outer 60\nwor:ker?1;outer;middle 25\nwor:ker?1;outer;middle;inner 15\nthread not known;[unfinished];orphan 2\n"},
		{folded.Options{Mixed: true}, "outer 60\nouter;middle 25\nouter;middle;inner 15\n[unfinished];orphan 2\n"},
		{folded.Options{Count: true}, "wor:ker?1;outer 1\nwor:ker?1;outer;middle 1\nwor:ker?1;outer;middle;inner 2\nthread not known;[unfinished];orphan 1\n"},
	} {
		var b strings.Builder
		if err := folded.Write(&b, exporters.Of(sample()...), c.opt); err != nil || b.String() != c.want {
			t.Errorf("%+v: %v\n%swant\n%s", c.opt, err, b.String(), c.want)
		}
	}
}

// All time is somewhere, once: the sum of what each stack spent itself is what
// the outermost spans took.
func TestTimeAddsUp(t *testing.T) {
	const n = 1000
	root, err := folded.Build(exporttest.Trace(n).Spans, folded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var self int64
	var walk func(*folded.Node)
	walk = func(x *folded.Node) {
		self += x.Self
		for _, c := range x.Children {
			walk(c)
		}
	}
	walk(root)
	if self != n*400_000 || root.Total != n*400_000 || len(root.Children) != 3 {
		t.Errorf("%d ns in all stacks, %d in the root with %d threads", self, root.Total, len(root.Children))
	}
}
