package series_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/profiler"
)

func example() series.Series {
	return series.Series{Name: "process_cpu", Service: "shop", From: time.Unix(1_700_000_000, 7), Until: time.Unix(1_700_000_010, 0), Normalized: true,
		Pprof: []byte{0x1f, 0x8b}, Labels: []series.Label{{Name: "zone", Value: "b"}, {Name: "host", Value: "h"}}}
}

func TestReadBack(t *testing.T) {
	one, two := example(), example()
	two.Service, two.Normalized = "till", false
	b := series.Batch(one, two)
	if b.Items != 2 {
		t.Errorf("%d items", b.Items)
	}
	got, err := series.Read(append(b.Payload, series.Batch(one).Payload...))
	if want := []series.Series{one, two, one}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v %v\nwant\n%+v", got, err, want)
	}
	if one.ID() == two.ID() || one.ID() != got[2].ID() {
		t.Errorf("ids %s, %s, %s", one.ID(), two.ID(), got[2].ID())
	}
	for _, bad := range []string{"x", "\x08\x01", "\x0a\x01"} {
		if _, err := series.Read([]byte(bad)); !errors.Is(err, series.ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSortedLabels(t *testing.T) {
	s := example()
	s.Labels = append(s.Labels, series.Label{Name: "a.b-c", Value: "x\xff"}, series.Label{Name: "1st", Value: "1"}, series.Label{Name: "__name__", Value: "n"},
		series.Label{Name: "none"}, series.Label{Name: "host", Value: "twice"}, series.Label{Name: "long", Value: strings.Repeat("é", 2000)}, series.Label{Value: "v"})
	want := []series.Label{{Name: "_", Value: "v"}, {Name: "_1st", Value: "1"}, {Name: "a_b_c", Value: "x\uFFFD"}, {Name: "host", Value: "h"},
		{Name: "label__name__", Value: "n"}, {Name: "long", Value: strings.Repeat("é", 1024)}, {Name: "zone", Value: "b"}}
	if got := s.Sorted(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestNames(t *testing.T) {
	for k, want := range map[profiler.Kind]string{profiler.CPU: "process_cpu", profiler.Wall: "wall", profiler.OffCPU: "offcpu", profiler.Heap: "memory", profiler.Lock: "mutex"} {
		if got := series.Name(k); got != want {
			t.Errorf("%s: %s", k, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(series.Batch(example()).Payload)
	f.Add([]byte{0x0a, 0x02, 0x1a, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := series.Read(data)
		if err != nil {
			return
		}
		again, err := series.Read(series.Batch(all...).Payload)
		if err != nil || len(again) != len(all) {
			t.Fatalf("%d series became %d, %v", len(all), len(again), err)
		}
		for i := range all {
			all[i].Sorted()
		}
	})
}
