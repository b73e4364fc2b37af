package listing

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

// blockHeader is the length of a block's header, in bytes: docs/trace-recording.md.
const blockHeader = 32

// seal sets the checksums right of what look like a recording's blocks.
func seal(b []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("UKtb"))
		if i < 0 || len(b)-at-i < blockHeader {
			return b
		}
		h := b[at+i:]
		stored := min(uint64(binary.LittleEndian.Uint32(h[8:])), uint64(len(h)-blockHeader))
		binary.LittleEndian.PutUint32(h[24:], crc32.Checksum(h[blockHeader:][:stored], table))
		binary.LittleEndian.PutUint32(h[28:], crc32.Checksum(h[:28], table))
		at += i + blockHeader + int(stored)
	}
}

// recorded is a recording of every kind of block, none of them compressed.
func recorded(t testing.TB) (blocks [][]byte) {
	t.Helper()
	tr := tracetest.New(t, "serve id=%d", "serve_ret id=%d", "malloc size=%lu", "malloc_ret p=%p", "uk_mutex_lock m=%p", "uk_mutex_lock_ret m=%p", "sched_switch %s -> %s")
	var out bytes.Buffer
	w := recording.NewWriter(&out, 0)
	at := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at(w.Start(recording.Start{Instance: "i", Name: "a"}, tr.Section))
	at(w.Segment(recording.Segment{Reason: "start"}))
	tr.Add(100, "sched_switch", "a", "b")
	tr.Add(110, "serve", 1)
	tr.Add(120, "malloc", 64)
	tr.Add(130, "malloc_ret", 0x5000)
	tr.Add(140, "uk_mutex_lock", 0x6000)
	tr.Add(150, "sched_switch", "b", "a")
	tr.Add(160, "uk_mutex_lock_ret", 0x6000)
	tr.AddExtended(170, tracebuf.Ext{}, "serve_ret", 1)
	_, err := w.Records(recording.Data{Drain: 1, After: 1000, Before: 2000}, tr.Records, tr.Definitions)
	at(err)
	at(w.Lost(recording.Lost{Reason: recording.LostFull, From: 170, To: 190, Records: 3}))
	at(w.Threads(recording.Threads{Threads: []recording.ThreadName{{Address: 0x7000, Name: "c"}}}))
	at(w.Segment(recording.Segment{Number: 1, Generation: 1, Reason: "restore"}))
	_, err = w.Records(recording.Data{Segment: 1, Drain: 2, After: 3000, Before: 4000}, tr.Records, tr.Definitions)
	at(err)
	at(w.End(recording.End{Records: 16}))
	for r := recording.NewReader(bytes.NewReader(out.Bytes())); ; {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return blocks
		}
		at(err)
		body, err := b.Body(nil)
		at(err)
		h := out.Bytes()[b.Offset:]
		plain := bytes.Clone(h[:blockHeader])
		if b.Kind == recording.KindData {
			plain = append(plain, h[blockHeader:][:64]...)
		}
		plain = append(plain, body...)
		plain[5] = 0
		binary.LittleEndian.PutUint32(plain[8:], uint32(len(plain)-blockHeader))
		binary.LittleEndian.PutUint32(plain[12:], uint32(len(body)))
		blocks = append(blocks, plain)
	}
}

// FuzzRecording: whatever a recording says, all ways to read it come to an end and
// agree with each other, and what is written of it can be read.
func FuzzRecording(f *testing.F) {
	blocks := recorded(f)
	f.Add(bytes.Join(blocks, nil))
	f.Add(bytes.Join(slices.Delete(slices.Clone(blocks), 2, 3), []byte("noise")))
	// Records before what defines them.
	late := slices.Clone(blocks)
	late[1], late[3] = late[3], late[1]
	f.Add(bytes.Join(late, nil))
	// A second run of the guest begins in the middle.
	f.Add(bytes.Join(slices.Concat(blocks[:4], blocks), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		b = seal(bytes.Clone(b))
		source := func() stream.Source { return stream.NewRecording(bytes.NewReader(b)) }
		var sums [2]*analysis.Summary
		var totals [2]*analysis.Totals
		var errs [2]error
		for i := range sums {
			sums[i] = analysis.NewSummary()
			v := sums[i].Visitor()
			if i == 1 {
				v.Intervals, v.Instants = nil, nil
			}
			totals[i], errs[i] = new(analysis.Query).Run([]stream.Source{source()}, v)
			for _, g := range totals[i].Guests {
				g.Guest = nil
			}
		}
		if (errs[0] == nil) != (errs[1] == nil) {
			t.Fatalf("many at a time: %v, one by one: %v", errs[0], errs[1])
		}
		if errs[0] != nil {
			return
		}
		if !reflect.DeepEqual(totals[0], totals[1]) {
			t.Errorf("many at a time\n%+v\none by one\n%+v", totals[0], totals[1])
		}
		if !reflect.DeepEqual(sums[0].Rows(), sums[1].Rows()) {
			t.Error("the summaries differ")
		}
		visitAll(t, source())
		listAll(t, source)
	})
}

// visitAll has every analysis see all.
func visitAll(t *testing.T, src stream.Source) {
	allocs, locks, sched, tree, longest := analysis.NewAllocs(), analysis.NewLocks(), analysis.NewSched(), new(analysis.Tree), &analysis.Longest{Limit: 3}
	v := analysis.Visitor{
		Record: func(s *analysis.Seen) error {
			s.Unix()
			for _, err := range []error{allocs.Record(s), locks.Record(s), sched.Record(s)} {
				if err != nil {
					return err
				}
			}
			return nil
		},
		Span: func(s *analysis.Seen, sp *tracebuf.Span) error {
			s.SpanUnix(&sp.Interval)
			for _, err := range []error{allocs.Span(s, sp), locks.Span(s, sp), longest.Span(s, sp), tree.Interval(s, &sp.Interval)} {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	if _, err := new(analysis.Query).Run([]stream.Source{src}, v); err != nil {
		t.Error(err)
	}
	allocs.Sizes()
	allocs.Chains()
	locks.Locks()
	sched.Threads()
	tree.Root()
	if n := len(longest.Spans()); n > 3 {
		t.Errorf("the %d longest of 3", n)
	}
}

// listAll lists in every form, by one worker and by two.
func listAll(t *testing.T, source func() stream.Source) {
	for _, form := range []Form{Text, JSON, CSV} {
		var out [2]bytes.Buffer
		var totals [2]*analysis.Totals
		for i := range out {
			l := New(&out[i], Options{Form: form, Guests: true, HostTime: true, Workers: i + 1})
			var err error
			if totals[i], err = l.All(source(), nil); err == nil {
				err = l.Flush()
			}
			if err != nil {
				t.Error(err)
				return
			}
			for _, g := range totals[i].Guests {
				g.Guest = nil
			}
		}
		if !bytes.Equal(out[0].Bytes(), out[1].Bytes()) || !reflect.DeepEqual(totals[0], totals[1]) {
			t.Errorf("one worker\n%s%+v\ntwo\n%s%+v", out[0].Bytes(), totals[0], out[1].Bytes(), totals[1])
		}
		for _, c := range out[0].Bytes() {
			if c < ' ' && c != '\n' || c == 0x7f {
				t.Errorf("byte %#x in\n%q", c, out[0].Bytes())
				break
			}
		}
		switch form {
		case JSON:
			for line := range bytes.Lines(out[0].Bytes()) {
				if !json.Valid(line) {
					t.Errorf("no JSON: %q", line)
				}
			}
		case CSV:
			if _, err := csv.NewReader(&out[0]).ReadAll(); err != nil {
				t.Errorf("%v in\n%q", err, out[1].Bytes())
			}
		}
	}
}
