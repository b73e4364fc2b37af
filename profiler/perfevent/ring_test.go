package perfevent

import (
	"bytes"
	"embed"
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"
)

const testPage = 4096

// memory is aligned as mapped memory is.
func memory(n int) []byte {
	words := make([]uint64, n/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// makeRing is a ring with data, of which the bytes from tail to head were written.
func makeRing(t testing.TB, data []byte, tail, head uint64) *ring {
	t.Helper()
	mem := memory(testPage + len(data))
	le := binary.NativeEndian
	le.PutUint64(mem[offHead:], head)
	le.PutUint64(mem[offTail:], tail)
	le.PutUint64(mem[offOffset:], testPage)
	le.PutUint64(mem[offSize:], uint64(len(data)))
	copy(mem[testPage:], data)
	r, err := newRing(mem)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rec makes a record.
func rec(kind uint32, misc uint16, words ...uint64) []byte {
	b := binary.NativeEndian.AppendUint32(nil, kind)
	b = binary.NativeEndian.AppendUint16(b, misc)
	b = binary.NativeEndian.AppendUint16(b, uint16(headerSize+8*len(words)))
	for _, w := range words {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return b
}

func readAll(r *ring) (out []Sample, l Losses) {
	l = r.read(func(s Sample) { out = append(out, s) })
	return out, l
}

// TestRing: records of every kind, at every place of the ring, so that each wraps
// around its end once.
func TestRing(t *testing.T) {
	stream := slices.Concat(
		rec(recordSample, 4, 0x101234, 1e7), rec(recordLost, 0, 7, 42), rec(recordSample, 5|1<<14, 0x2000, 2e7),
		rec(recordThrottle, 0, 1, 2, 3), rec(8, 1, 1, 2), rec(recordLostSamples, 0, 3), rec(recordSample, 1, 0xffffffff81000000, 1e7))
	want := []Sample{{0x101234, GuestKernel, 1e7}, {0x2000, GuestUser, 2e7}, {0xffffffff81000000, HostKernel, 1e7}}
	for at := uint64(0); at < 512; at += 8 {
		data := make([]byte, 256)
		for i, b := range stream {
			data[(at+uint64(i))%256] = b
		}
		r := makeRing(t, data, at, at+uint64(len(stream)))
		got, l := readAll(r)
		if !slices.Equal(got, want) || l != (Losses{Lost: 45, Throttled: 1}) {
			t.Fatalf("at %d: %v, %+v", at, got, l)
		}
		if r.tail.Load() != r.head.Load() {
			t.Errorf("at %d: the kernel is not told that all was read", at)
		}
		if again, l := readAll(r); len(again) != 0 || l != (Losses{}) {
			t.Errorf("at %d: read twice", at)
		}
	}
}

// TestTornRing: what makes no sense is counted, what came before it is kept, and
// what comes after is read.
func TestTornRing(t *testing.T) {
	good := rec(recordSample, 4, 1, 1)
	for name, bad := range map[string][]byte{
		"no size":       make([]byte, 16),
		"odd size":      {9, 0, 0, 0, 4, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"beyond":        {9, 0, 0, 0, 4, 0, 0xf8, 0xff, 0, 0, 0, 0, 0, 0, 0, 0},
		"short sample":  rec(recordSample, 4, 1),
		"a lost count":  rec(recordLost, 0),
		"half a header": {9, 0, 0, 0},
	} {
		data := make([]byte, 256)
		n := copy(data, good)
		n += copy(data[n:], bad)
		r := makeRing(t, data, 0, uint64(n))
		got, l := readAll(r)
		torn := uint64(1)
		if name == "half a header" {
			torn = 0 // the kernel publishes whole records; what is left is passed over
		}
		if len(got) != 1 || l.Torn != torn {
			t.Errorf("%s: %v, %+v", name, got, l)
		}
		copy(r.data[n:], good)
		r.head.Store(uint64(n + len(good)))
		if n%8 == 0 {
			if got, _ := readAll(r); len(got) != 1 {
				t.Errorf("%s: what came after is not read: %v", name, got)
			}
		}
	}
	// A head that ran away from us.
	r := makeRing(t, make([]byte, 256), 0, 1<<40)
	if got, l := readAll(r); len(got) != 0 || l.Torn != 1 {
		t.Errorf("a head far beyond: %v, %+v", got, l)
	}
}

func TestNoRing(t *testing.T) {
	for _, c := range []struct{ offset, size uint64 }{
		{testPage, 0}, {testPage, 24}, {testPage, 8192}, {0, 4096}, {1 << 63, 4096}, {testPage, 1 << 63}, {^uint64(0), 4096},
	} {
		mem := memory(2 * testPage)
		binary.NativeEndian.PutUint64(mem[offOffset:], c.offset)
		binary.NativeEndian.PutUint64(mem[offSize:], c.size)
		if _, err := newRing(mem); err == nil {
			t.Errorf("data at %d, %d bytes: taken for a ring", c.offset, c.size)
		}
	}
	if _, err := newRing(memory(64)); err == nil {
		t.Error("64 bytes are taken for a ring")
	}
}

func TestReadAllocates(t *testing.T) {
	data := bytes.Repeat(rec(recordSample, 4, 1, 1), 4096/24)
	data = append(data, make([]byte, 4096-len(data))...)
	r := makeRing(t, data, 0, 0)
	r.buf = make([]byte, 0, 64)
	n := 0
	count := func(Sample) { n++ }
	if got := testing.AllocsPerRun(100, func() {
		r.at = 0
		r.head.Store(uint64(len(data) / 24 * 24))
		r.read(count)
	}); got != 0 {
		t.Errorf("%v allocations to read %d samples", got, n)
	}
}

// recorded are rings as a kernel (6.18, x86-64) left them, the control page cut
// down to what is used: of a KVM guest's processor, and of an ordinary process.
//
//go:embed testdata/*.ring
var recorded embed.FS

// readRecorded opens a recorded ring: u64 head, then the data.
func readRecorded(t testing.TB, name string) *ring {
	b, err := recorded.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return makeRing(t, b[8:], 0, binary.LittleEndian.Uint64(b))
}

// TestRecordedRings: "go test -run 'TestOrdinaryThread|TestGuest' -record" records
// them anew.
func TestRecordedRings(t *testing.T) {
	for _, c := range []struct {
		name        string
		guest, host int
	}{{"kvm.ring", recordedGuest, recordedGuestHost}, {"process.ring", 0, recordedProcess}} {
		got, l := readAll(readRecorded(t, c.name))
		guest := 0
		for _, s := range got {
			if s.Mode.Guest() {
				guest++
				if s.IP < 0x100000 || s.IP >= 0x200000 {
					t.Errorf("%s: a sample of the guest at %#x, where it has no code", c.name, s.IP)
				}
			}
			if s.Period == 0 {
				t.Errorf("%s: a sample of no time", c.name)
			}
		}
		if guest != c.guest || len(got)-guest != c.host || l.Torn != 0 {
			t.Errorf("%s: %d samples of a guest, %d others, %+v; want %d and %d", c.name, guest, len(got)-guest, l, c.guest, c.host)
		}
	}
}

func FuzzRing(f *testing.F) {
	for _, name := range []string{"kvm.ring", "process.ring"} {
		r := readRecorded(f, name)
		f.Add(bytes.Clone(r.data[:1024]), uint64(0), uint64(1024))
	}
	f.Add(slices.Concat(rec(recordLost, 0, 1, 2), rec(recordLostSamples, 0, 3), rec(recordThrottle, 0, 1)), uint64(8), uint64(64))
	f.Fuzz(func(t *testing.T, in []byte, tail, head uint64) {
		if len(in) > 1<<16 {
			return
		}
		size := 64
		for size < len(in) {
			size *= 2
		}
		data := make([]byte, size)
		copy(data, in)
		r := makeRing(t, data, tail, head)
		n := 0
		l := r.read(func(Sample) { n++ })
		if n > size/24 {
			t.Errorf("%d samples in %d bytes", n, size)
		}
		if l.Torn > uint64(size/8)+1 {
			t.Errorf("%d torn places in %d bytes", l.Torn, size)
		}
		if r.tail.Load() != r.head.Load() {
			t.Error("not all was passed over")
		}
		// What is torn now must not keep us from what comes.
		r.head.Store(r.at + 24)
		for i, b := range rec(recordSample, uint16(head%6), 1, 2) {
			r.data[(r.at+uint64(i))%uint64(size)] = b
		}
		if got, _ := readAll(r); len(got) != 1 {
			t.Errorf("the next sample is lost: %v", got)
		}
	})
}

// What the recorded rings hold.
const (
	recordedGuest     = 2
	recordedGuestHost = 318
	recordedProcess   = 320
)
