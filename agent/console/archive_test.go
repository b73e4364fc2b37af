package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzArchive reads a rotated file that was compressed, and looks for a place in it: what
// comes is what gzip makes of it, up to where it is damaged or more than may be unpacked.
// offset and size are those of the place, damage makes it one of another text.
func FuzzArchive(f *testing.F) {
	pack := func(texts ...string) []byte {
		var b bytes.Buffer
		for _, text := range texts {
			w := gzip.NewWriter(&b)
			if _, err := w.Write([]byte(text)); err != nil {
				f.Fatal(err)
			}
			if err := w.Close(); err != nil {
				f.Fatal(err)
			}
		}
		return b.Bytes()
	}
	whole := pack("booting\n" + assertion("first") + strings.Repeat("up\n", 1000))
	f.Add(whole, uint16(100), uint16(50), false)
	f.Add(whole[:len(whole)-5], uint16(3000), uint16(tailSize), false)
	f.Add(pack("one\n", "two\n"), uint16(6), uint16(6), true)
	f.Add(pack(strings.Repeat("\x00", 200<<10)), uint16(65535), uint16(1), false)
	f.Add([]byte("\x1f\x8b no archive"), uint16(0), uint16(0), false)
	dir := f.TempDir()
	log := filepath.Join(dir, "console.log")
	f.Fuzz(func(t *testing.T, file []byte, offset, size uint16, damage bool) {
		const most = 96 << 10
		if len(file) > 8<<10 {
			return
		}
		path := log + ".1.gz"
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		var want []byte
		z, bad := gzip.NewReader(bytes.NewReader(file))
		if bad == nil {
			want, bad = io.ReadAll(io.LimitReader(z, most))
			if bad == nil && len(want) == most {
				bad = errUnpacked
			}
		}
		list := siblings(log, uint32(os.Getuid()))
		if len(list) != 1 || !list[0].compressed() {
			t.Fatalf("%+v", list)
		}
		follower := func() *Follower {
			return &Follower{ctx: context.Background(), opt: Options{Source: Source{Path: log}, Limits: Limits{Unpack: most}.withDefaults()}, bytes: newBucket(1e9, 1e9)}
		}
		// drain reads what is left of a part.
		drain := func(p *part) (text []byte, err error) {
			b := make([]byte, 10<<10)
			for {
				n, err := p.read(b)
				text = append(text, b[:n]...)
				if n == 0 || err != nil {
					return text, err
				}
			}
		}

		fw := follower()
		parts, moved := fw.unreadIn(list, time.Time{}, nil)
		if moved || len(parts) > 1 || len(parts) == 0 && !errors.Is(bad, gzip.ErrHeader) && !errors.Is(bad, io.EOF) && !errors.Is(bad, io.ErrUnexpectedEOF) && !errors.Is(bad, gzip.ErrChecksum) {
			t.Fatalf("%d parts, moved %v, gzip says %v", len(parts), moved, bad)
		}
		for _, p := range parts {
			text, err := drain(p)
			if !bytes.Equal(text, want) || (err == nil) != (bad == nil) || p.pos != int64(len(want)) || fw.unpacked > most ||
				!bytes.Equal(p.tail, want[max(0, len(want)-tailSize):]) {
				t.Fatalf("%d bytes up to %d, %v; gzip unpacks %d, %v", len(text), p.pos, err, len(want), bad)
			}
			p.close()
		}

		at := place{Offset: int64(offset), TailSize: int(min(size, offset, tailSize)), Written: time.Unix(0, 0)}
		from := at.Offset - int64(at.TailSize)
		holds := at.Offset <= int64(len(want)) && len(parts) == 1 && at.TailSize > 0
		if holds {
			tail := bytes.Clone(want[from:at.Offset])
			if damage {
				tail[0]++
			}
			at.Tail = sumOf(tail)
		}
		fw = follower()
		p, err := fw.searchIn(list, &at)
		if err != nil || (p != nil) != (holds && !damage) || fw.unpacked > most {
			t.Fatalf("the place at %d of %d is found: %v, %v", at.Offset, len(want), p != nil, err)
		}
		if p != nil {
			if text, err := drain(p); !bytes.Equal(text, want[at.Offset:]) || (err == nil) != (bad == nil) {
				t.Fatalf("%d bytes behind %d of %d, %v, gzip says %v", len(text), at.Offset, len(want), err, bad)
			}
			p.close()
		}

		// It was read before it was compressed, if its length and time are those.
		if fw = follower(); len(file) >= 4 {
			plain := list[0]
			plain.size = int64(binary.LittleEndian.Uint32(file[len(file)-4:]))
			if fw.know(plain.name(), 1); !fw.knows(&list[0]) {
				t.Errorf("a file of %d bytes that was read is not known any more", plain.size)
			}
		} else if fw.knows(&list[0]) {
			t.Error("it is known, and nobody read it")
		}
	})
}
