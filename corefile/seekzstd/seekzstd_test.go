package seekzstd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// content is data of which parts shrink and parts do not.
func content(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewSource(int64(n)))
	for i := 0; i < n; i += 64 << 10 {
		if i>>16%3 == 0 {
			r.Read(b[i:min(n, i+64<<10)])
		}
	}
	return b
}

func pack(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(data); i += 100_000 {
		if _, err := w.Write(data[i:min(len(data), i+100_000)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Size() != int64(out.Len()) {
		t.Errorf("Size is %d of %d bytes", w.Size(), out.Len())
	}
	return out.Bytes()
}

func open(t testing.TB, file []byte) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, frameSize - 1, frameSize, frameSize + 1, 5*frameSize + 17} {
		data := content(n)
		file := pack(t, data)
		r := open(t, file)
		defer r.Close()
		if r.Size() != int64(n) {
			t.Fatalf("%d bytes: size %d", n, r.Size())
		}
		got := make([]byte, n)
		if k, err := r.ReadAt(got, 0); k != n || err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: %d, %v", n, k, err)
		}
		for i := range 200 {
			if n == 0 {
				break
			}
			off := (i * 7919 * 131) % n
			p := make([]byte, min(1+i*997, n-off))
			if k, err := r.ReadAt(p, int64(off)); k != len(p) || err != nil || !bytes.Equal(p, data[off:off+len(p)]) {
				t.Fatalf("%d bytes at %d: %d, %v", len(p), off, k, err)
			}
		}
		if k, err := r.ReadAt(make([]byte, 10), int64(n)); k != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", k, err)
		}
		// Any zstd unpacks it.
		z, err := zstd.NewReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(all, data) {
			t.Errorf("as a stream: %d bytes, %v", len(all), err)
		}
		z.Close()
	}
}

// zstd's own command reads what is written here.
func TestZstdReads(t *testing.T) {
	tool, err := exec.LookPath("zstd")
	if err != nil {
		t.Fatalf("%v (make tools installs it)", err)
	}
	data := content(3*frameSize + 5)
	name := filepath.Join(t.TempDir(), "x.zst")
	if err := os.WriteFile(name, pack(t, data), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "-dc", name).Output()
	if err != nil || !bytes.Equal(out, data) {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// A random read unpacks the frames it lies in and no other.
func TestReadsLittle(t *testing.T) {
	file := pack(t, content(40*frameSize))
	c := &counter{r: bytes.NewReader(file)}
	r, err := NewReader(c, int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	c.n = 0
	if _, err := r.ReadAt(make([]byte, 100), 17*frameSize+5); err != nil || c.n > frameSize+1024 {
		t.Errorf("%d bytes read, %v", c.n, err)
	}
}

type counter struct {
	r io.ReaderAt
	n int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.n += len(p)
	return c.r.ReadAt(p, off)
}

// Tables with checksums are read, though none are written.
func TestChecksumTable(t *testing.T) {
	file := pack(t, content(2*frameSize))
	r := open(t, file)
	end := int(r.at[len(r.at)-1])
	le := binary.LittleEndian
	table := le.AppendUint32(nil, skippableMagic)
	table = le.AppendUint32(table, uint32(12*2+footerSize))
	for i := range 2 {
		table = le.AppendUint32(table, uint32(r.at[i+1]-r.at[i]))
		table = le.AppendUint32(table, uint32(frameSize))
		table = le.AppendUint32(table, 0x12345678)
	}
	table = le.AppendUint32(table, 2)
	table = append(table, hasChecksums)
	table = le.AppendUint32(table, tableMagic)
	again := open(t, append(bytes.Clone(file[:end]), table...))
	if again.Size() != 2*frameSize {
		t.Errorf("size %d", again.Size())
	}
}

func TestDamaged(t *testing.T) {
	file := pack(t, content(3*frameSize))
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		want   error
	}{
		"cut":        {func(b []byte) []byte { return b[:len(b)-1] }, ErrNoTable},
		"short":      {func(b []byte) []byte { return b[:4] }, ErrNoTable},
		"count":      {func(b []byte) []byte { b[len(b)-9] = 200; return b }, ErrFormat},
		"descriptor": {func(b []byte) []byte { b[len(b)-5] = 4; return b }, ErrFormat},
		"size":       {func(b []byte) []byte { b[len(b)-footerSize-1] = 0xff; return b }, ErrFormat},
		"packed":     {func(b []byte) []byte { b[len(b)-footerSize-8] ^= 1; return b }, ErrFormat},
	} {
		b := c.damage(bytes.Clone(file))
		if _, err := NewReader(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	b := bytes.Clone(file)
	b[100] ^= 0x10
	if _, err := open(t, b).ReadAt(make([]byte, 10), 5); !errors.Is(err, ErrFormat) {
		t.Errorf("a frame with a flipped bit: %v", err)
	}
}

type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

var errDisk = errors.New("disk full")

func TestDiskFull(t *testing.T) {
	w, err := NewWriter(&failing{left: 100 << 10})
	if err != nil {
		t.Fatal(err)
	}
	_, werr := w.Write(content(30 * frameSize))
	if cerr := w.Close(); !errors.Is(cerr, errDisk) {
		t.Errorf("%v, %v", werr, cerr)
	}
}

func FuzzReader(f *testing.F) {
	small := pack(f, content(1000))
	f.Add(small)
	f.Add(pack(f, nil))
	f.Add(pack(f, content(2*frameSize))[:4096])
	f.Add(append([]byte{0x28, 0xb5, 0x2f, 0xfd}, small[len(small)-17:]...))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<20 {
			return
		}
		r, err := NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		defer r.Close()
		p := make([]byte, 4096)
		for _, off := range []int64{0, 1, r.Size() / 2, r.Size() - 1, r.Size()} {
			if off < 0 || off > r.Size() {
				continue
			}
			if n, err := r.ReadAt(p, off); err == nil && n < len(p) || int64(n) > r.Size()-off {
				t.Errorf("%d bytes at %d of %d, %v", n, off, r.Size(), err)
			}
		}
	})
}
