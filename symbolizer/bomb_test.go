package symbolizer_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// TestDecompressionBomb gives sections of a few kilobytes that claim to become,
// or do become, gigabytes.
func TestDecompressionBomb(t *testing.T) {
	zeros := make([]byte, 1<<20)
	const blocks = 256
	var z bytes.Buffer
	zw, err := zlib.NewWriterLevel(&z, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	var s bytes.Buffer
	sw, err := zstd.NewWriter(&s, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		t.Fatal(err)
	}
	for range blocks {
		if _, err := zw.Write(zeros); err != nil {
			t.Fatal(err)
		}
		if _, err := sw.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sw.Close(); err != nil {
		t.Fatal(err)
	}
	head := func(kind uint32, size uint64) []byte {
		b := binary.LittleEndian.AppendUint32(nil, kind)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint64(b, size)
		return binary.LittleEndian.AppendUint64(b, 1)
	}
	plain := small(t, "-g")
	for name, content := range map[string][]byte{
		"zlib":            append(head(1, blocks<<20), z.Bytes()...),
		"zstd":            append(head(2, blocks<<20), s.Bytes()...),
		"zlib says less":  append(head(1, 100), z.Bytes()...),
		"zstd says less":  append(head(2, 100), s.Bytes()...),
		"zlib says more":  append(head(1, 20<<20), z.Bytes()[:1000]...),
		"zlib says 2^64":  append(head(1, ^uint64(0)), z.Bytes()...),
		"zstd says 2^63":  append(head(2, 1<<63), s.Bytes()...),
		"unknown method":  append(head(99, 100), z.Bytes()...),
		"header cut off":  head(1, 5)[:17],
		"nothing in zlib": head(1, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			section, out := filepath.Join(dir, "section"), filepath.Join(dir, "out")
			if err := os.WriteFile(section, content, 0o644); err != nil {
				t.Fatal(err)
			}
			run(t, dir, "objcopy", "--add-section=.extra="+section, plain, out)
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			setCompressed(t, b, ".extra")
			im, err := symbolizer.OpenBytes("bomb", b)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			got, err := im.SectionData(".extra")
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil || got != nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("allocated %d MiB", n>>20)
			}
		})
	}
}

// setCompressed sets SHF_COMPRESSED of a section.
func setCompressed(t *testing.T, file []byte, name string) {
	t.Helper()
	le := binary.LittleEndian
	at, size, n := le.Uint64(file[40:]), uint64(le.Uint16(file[58:])), uint64(le.Uint16(file[60:]))
	strs := file[le.Uint64(file[at+uint64(le.Uint16(file[62:]))*size+24:]):]
	for i := range n {
		h := file[at+i*size:]
		if got := strs[le.Uint32(h):]; string(got[:bytes.IndexByte(got, 0)]) == name {
			le.PutUint64(h[8:], le.Uint64(h[8:])|1<<11)
			return
		}
	}
	t.Fatalf("no section %s", name)
}
