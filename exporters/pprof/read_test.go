package pprof

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/exporters/wire"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/profiler"
)

// What was written comes back.
func TestRead(t *testing.T) {
	want := exporttest.Profile()
	var b bytes.Buffer
	if err := Write(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kind != profiler.CPU || got.Period != want.Period || got.Duration != want.Duration || !got.Start.Equal(want.Start) {
		t.Errorf("%s, every %v for %v from %v", got.Kind, got.Period, got.Duration, got.Start)
	}
	if !reflect.DeepEqual(got.Warnings, want.Warnings) {
		t.Errorf("warnings %q", got.Warnings)
	}
	for i := range want.Samples {
		w := want.Samples[i]
		w.Thread.Name = strings.ToValidUTF8(w.Thread.Name, "\uFFFD") // as protobuf's strings are
		for j := range w.Stack {
			if f := &w.Stack[j]; f.Linkage == "" {
				f.Linkage = f.Function
			}
		}
		if !reflect.DeepEqual(got.Samples[i], w) {
			t.Errorf("sample %d:\n%+v\nwant\n%+v", i, got.Samples[i], w)
		}
	}
}

// The same profile as google/pprof writes it, of a program that is no guest.
func TestReadOthers(t *testing.T) {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}},
		Function:   []*profile.Function{{ID: 1, Name: "main.main", Filename: "main.go"}},
		TimeNanos:  5e9,
	}
	p.Location = []*profile.Location{{ID: 7, Address: 0x1000, Line: []profile.Line{{Function: p.Function[0], Line: 12}}}, {ID: 9, Address: 0x2000}}
	p.Sample = []*profile.Sample{{Location: p.Location, Value: []int64{3, 4096}, Label: map[string][]string{"request": {"x"}}}}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kind != profiler.Heap || len(got.Samples) != 1 || got.Samples[0].Count != 3 || got.Samples[0].Value != 4096 || !got.Start.Equal(time.Unix(5, 0)) {
		t.Fatalf("%+v", got)
	}
	if s := got.Samples[0].Stack; len(s) != 2 || s[0].Function != "main.main" || s[0].Line != 12 || s[1].Address != 0x2000 {
		t.Errorf("%+v", s)
	}
}

func TestReadNone(t *testing.T) {
	for _, text := range []string{"", "hello, world", "\x1f\x8b\x08", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01"} {
		if _, err := Read(bytes.NewReader([]byte(text))); !errors.Is(err, ErrNoProfile) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, exporttest.Profile()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("\x0a\x04\x08\x01\x10\x02\x12\x04\x08\x01\x10\x05"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		p, err := Read(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrNoProfile) {
				t.Fatal(err)
			}
			return
		}
		profiler.Functions(p)
	})
}

// A small file may unpack to millions of messages, or name one location of many
// lines again and again: neither is taken into memory.
func TestReadHostile(t *testing.T) {
	head := wire.AppendBytes(nil, profileSampleType, nil)
	empty := wire.AppendBytes(nil, profileMapping, nil)
	var location []byte
	for range 1 << 13 {
		location = wire.AppendBytes(location, locationLine, nil)
	}
	same := wire.AppendPacked(nil, sampleLocationID, make([]uint64, 1<<13))
	same = wire.AppendVarint(same, sampleValue, 1)
	for name, data := range map[string][]byte{
		"mappings": append(head, bytes.Repeat(empty, maxElements+1)...),
		"frames":   wire.AppendBytes(wire.AppendBytes(head, profileLocation, location), profileSample, same),
	} {
		if _, err := Read(bytes.NewReader(data)); !errors.Is(err, ErrNoProfile) || !errors.Is(err, errMany) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
