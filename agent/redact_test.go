package agent

import (
	"bytes"
	"testing"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/profiler"
)

// A name is no path: globs fit those with slashes too.
func TestWanted(t *testing.T) {
	for _, c := range []struct {
		include, exclude, name string
		want                   bool
	}{
		{"*", "", "team/web", true}, {"team/*", "", "team/web", true}, {"team/*", "", "web", false}, {"*", "team/*", "team/web", false},
		{"*web", "", "a/b/web", true}, {"team?web", "", "team/web", true}, {"[a-z]*", "", "team/web", true},
	} {
		g := config.Guests{Include: []string{c.include}, Exclude: []string{c.exclude}}
		if got := wanted(&g, c.name); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Labels that are hidden leave one point for each set of labels that is left, with
// nothing lost of what is counted.
func TestRedactMetrics(t *testing.T) {
	point := func(guest, instance, state string, v float64) exporters.Point {
		return exporters.Point{Attrs: []exporters.Attr{exporters.String("guest", guest), exporters.String("instance", instance), exporters.String("state", state)},
			Value: v, Count: uint64(v), Sum: v, Bounds: []float64{1}, Buckets: []uint64{uint64(v), 0}}
	}
	list := func() []exporters.Metric {
		return []exporters.Metric{{Name: "m", Points: []exporters.Point{point("a", "1", "running", 1), point("b", "2", "running", 2), point("b", "2", "paused", 4)}}}
	}
	if got := redactMetrics(list(), nil); len(got[0].Points) != 3 || got[0].Points[0].Attrs[0].Str != "a" {
		t.Errorf("%+v", got)
	}
	got := redactMetrics(list(), []string{"*"})[0].Points
	if len(got) != 2 || got[0].Value != 1 || got[1].Value != 6 || got[1].Count != 6 || got[1].Sum != 6 || got[1].Buckets[0] != 6 {
		t.Fatalf("%+v", got)
	}
	for i, p := range got {
		if p.Attrs[0].Str != redacted || p.Attrs[2].Str != redacted || p.Attrs[1].Str != []string{"1", "2"}[i] {
			t.Errorf("%+v", p.Attrs)
		}
	}
}

// What is hidden of a resource is in no label of a store of profiles.
func TestRedactSeries(t *testing.T) {
	node := hostname()
	if node == "" {
		t.Fatal("this host has no name")
	}
	for _, glob := range []string{"", "host.*", "host", "*"} {
		res := otlp.Resource{ServiceName: "web", InstanceID: "i1", HostName: "web", ImageHash: "h4sh", Attrs: []exporters.Attr{exporters.String(nodeName, node)}}
		if glob != "" {
			redactResource(&res, []string{glob})
		}
		b, err := stored("store", func() {}, nil).profile(res, &profiler.Profile{Kind: profiler.CPU})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := bytes.Contains(b.Payload, []byte(node)), glob == ""; got != want {
			t.Errorf("redact %q: the host's name is in it: %v", glob, got)
		}
		if got, want := bytes.Contains(b.Payload, []byte("h4sh")), glob != "*"; got != want {
			t.Errorf("redact %q: the image is in it: %v", glob, got)
		}
		if !bytes.Contains(b.Payload, []byte("i1")) {
			t.Errorf("redact %q: the instance is hidden", glob)
		}
	}
}
