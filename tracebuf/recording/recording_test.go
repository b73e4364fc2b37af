package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// section has one tracepoint "tick" of one 8-byte integer at cookie 0x1000.
func section() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x65645054)
	b = binary.LittleEndian.AppendUint32(b, 32)
	b = binary.LittleEndian.AppendUint64(b, 0x1000)
	b = append(b, 1, 5, 4, 8, 0)
	b = append(b, "tick\x00%lu\x00"...)
	for len(b) < 32 {
		b = append(b, 0)
	}
	return b
}

func definitions(t testing.TB) *tracebuf.Definitions {
	t.Helper()
	d, err := tracebuf.ParseDefinitions(section())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ticks(from, to uint64) []byte {
	var b []byte
	for i := from; i < to; i++ {
		b = binary.LittleEndian.AppendUint32(b, 0x64685254)
		b = binary.LittleEndian.AppendUint32(b, 8)
		b = binary.LittleEndian.AppendUint64(b, 100*i)
		b = binary.LittleEndian.AppendUint64(b, 0x1000)
		b = binary.LittleEndian.AppendUint64(b, i)
	}
	return b
}

// sample writes a recording of n drains of 100 records and returns where its
// blocks start.
func sample(t testing.TB, n int) (file []byte, blocks []int64) {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, 0)
	at := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, w.Bytes())
	}
	defs := definitions(t)
	at(w.Start(Start{Instance: "i", Image: "a.dbg"}, section()))
	at(w.Segment(Segment{Reason: "start"}))
	for i := range uint64(n) {
		st, err := w.Records(Data{Drain: i, After: 5, Before: 6}, ticks(100*i, 100*i+100), defs)
		at(err)
		if st.Records != 100 {
			t.Fatalf("%d records", st.Records)
		}
	}
	at(w.Lost(Lost{Reason: LostFull, From: 7, To: 9, Records: Unknown}))
	at(w.End(End{Records: uint64(100 * n)}))
	return out.Bytes(), blocks
}

// read returns what a reader makes of a file: its blocks in words and the
// numbers in the records.
func read(t testing.TB, file []byte) (words []string, numbers []uint64) {
	t.Helper()
	r, defs := NewReader(bytes.NewReader(file)), definitions(t)
	at := int64(0)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			if at != int64(len(file)) {
				t.Fatalf("the end is at %d of %d", at, len(file))
			}
			return words, numbers
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.Offset != at || b.Size <= 0 {
			t.Fatalf("block %v at %d of %d bytes, expected at %d", b.Kind, b.Offset, b.Size, at)
		}
		at += b.Size
		words = append(words, b.Kind.String())
		if b.Kind != KindData {
			continue
		}
		body, err := b.Body(nil)
		if err != nil {
			t.Fatal(err)
		}
		d, n := b.Data(), uint64(0)
		sc := tracebuf.NewScanner(body, defs, d.Slide)
		for sc.Scan() {
			if rec := sc.Record(); rec.Problem == tracebuf.Good {
				numbers = append(numbers, rec.Uint(0))
				n++
			}
		}
		if st := sc.Stats(); n != d.Records || st.First != d.First || st.Last != d.Last {
			t.Fatalf("the block says %+v, has %+v", d, st)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	file, _ := sample(t, 3)
	words, numbers := read(t, file)
	if fmt.Sprint(words) != "[start definitions segment data data data lost end]" || len(numbers) != 300 {
		t.Fatalf("%v, %d records", words, len(numbers))
	}
	for i, n := range numbers {
		if n != uint64(i) {
			t.Fatalf("record %d is %d", i, n)
		}
	}
	r := NewReader(bytes.NewReader(file))
	var s Start
	b, err := r.Next()
	if err != nil || b.JSON(&s) != nil || s.Format != Format || s.Version != Version || s.Instance != "i" || s.Image != "a.dbg" {
		t.Fatalf("%+v %v", s, err)
	}
	if !Is(file) || Is([]byte("no recording")) || Is(nil) {
		t.Error("Is is wrong")
	}
	for range 6 {
		if b, err = r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	l, err := b.Lost()
	if err != nil || l.Length() != 2 || l.Records != Unknown || l.Reason != LostFull {
		t.Fatalf("%+v %v", l, err)
	}
	// Two recordings one after the other are one.
	if words, numbers := read(t, append(bytes.Clone(file), file...)); len(words) != 16 || len(numbers) != 600 {
		t.Fatalf("%v, %d records", words, len(numbers))
	}
}

// Whatever is cut off at the end, all blocks before it are read.
func TestCut(t *testing.T) {
	file, _ := sample(t, 3)
	full, _ := read(t, file)
	for cut := 0; cut < len(file); cut += 7 {
		words, _ := read(t, file[:cut])
		for i, w := range words {
			if w != full[i] && (w != "bad" || i != len(words)-1) {
				t.Fatalf("cut at %d: %v", cut, words)
			}
		}
	}
}

// A damaged block costs itself only.
func TestDamage(t *testing.T) {
	file, _ := sample(t, 5)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		bad := bytes.Clone(file)
		bad[rng.IntN(len(bad))] ^= byte(1 + rng.IntN(255))
		words, numbers := read(t, bad)
		if len(words) != 10 || len(numbers) < 400 {
			t.Fatalf("%v, %d records", words, len(numbers))
		}
	}
}

// A drain larger than a block is cut at records.
func TestLargeDrain(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, 0)
	n := uint64(3 * blockBytes / 32)
	records := ticks(0, n)
	// A stretch that is no record and longer than a block stands in the middle.
	half := len(records) / 64 * 32
	all := append(bytes.Clone(records[:half]), make([]byte, 2*blockBytes)...)
	all = append(all, records[half:]...)
	st, err := w.Records(Data{Flags: Full}, all, definitions(t))
	if err != nil || st.Records != int(n) || st.Bad != 1 {
		t.Fatalf("%+v %v", st, err)
	}
	words, numbers := read(t, out.Bytes())
	if len(numbers) != int(n) || len(words) < 5 {
		t.Fatalf("%d of %d records in %d blocks", len(numbers), n, len(words))
	}
	r := NewReader(&out)
	for i := range words {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if full := b.Data().Flags&Full != 0; full != (i == len(words)-1) {
			t.Errorf("block %d of %d: full is %v", i, len(words), full)
		}
	}
}

// failing writes up to its limit and then fails.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return f.left, errors.New("disk full")
	}
	f.left -= len(p)
	return len(p), nil
}

func TestWriteError(t *testing.T) {
	w := NewWriter(&failing{1 << 10}, 0)
	if err := w.Start(Start{}, section()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Records(Data{}, ticks(0, 10000), definitions(t)); err == nil {
		t.Fatal("a full disk is not told")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("I/O error") }

// An input that fails is not one that ends.
func TestReadError(t *testing.T) {
	file, _ := sample(t, 1)
	r := NewReader(io.MultiReader(bytes.NewReader(file[:len(file)-3]), broken{}))
	for {
		if _, err := r.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				t.Fatal("the input's error is lost")
			}
			return
		}
	}
}

func FuzzReader(f *testing.F) {
	file, blocks := sample(f, 2)
	f.Add(file)
	f.Add(file[:len(file)-10])
	f.Add(file[blocks[1]:])
	f.Add(append([]byte("junk"), file[:200]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		explore(t, b)
		explore(t, seal(bytes.Clone(b)))
	})
}

// seal sets the checksums right of what look like blocks.
func seal(b []byte) []byte {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("UKtb"))
		if i < 0 || len(b)-at-i < headerBytes {
			return b
		}
		h := b[at+i:]
		stored := min(uint64(binary.LittleEndian.Uint32(h[8:])), uint64(len(h)-headerBytes))
		binary.LittleEndian.PutUint32(h[24:], checksum(h[headerBytes:][:stored]))
		binary.LittleEndian.PutUint32(h[28:], checksum(h[:28]))
		at += i + headerBytes + int(stored)
	}
}

func explore(t *testing.T, b []byte) {
	r := NewReader(bytes.NewReader(b))
	at := int64(0)
	for {
		bl, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if bl.Offset != at || bl.Size <= 0 {
			t.Fatalf("block at %d of %d bytes, expected at %d", bl.Offset, bl.Size, at)
		}
		at += bl.Size
		if bl.Kind == KindBad {
			continue
		}
		var v any
		_ = bl.JSON(&v) // whatever it says, it must not panic
		if bl.Kind == KindData {
			bl.Data()
		}
		if body, err := bl.Body(nil); err == nil && len(body) > MaxBody {
			t.Fatalf("%d bytes", len(body))
		}
		if bl.Kind == KindLost {
			_, _ = bl.Lost()
		}
	}
	if at != int64(len(b)) {
		t.Fatalf("stopped at %d of %d", at, len(b))
	}
}
