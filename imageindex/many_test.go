package imageindex_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/imageindex"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// A thousand images, all alike but for a word of code: the index stays small, looking
// again reads nothing, and each guest gets its own image after few reads.
func TestThousandImages(t *testing.T) {
	const n = 1000
	ctx := context.Background()
	_, dbg := extract(t, t.TempDir(), "ukguest-x86_64")
	plain := filepath.Join(t.TempDir(), "plain")
	stripped(t, dbg, plain)
	im, err := symbolizer.Open(dbg)
	if err != nil {
		t.Fatal(err)
	}
	serve, ok := im.SymbolByName("serve")
	if !ok {
		t.Fatal("no symbol serve")
	}
	code, _ := im.Data(serve.Addr, 32)
	data := mustRead(t, plain)
	at := bytes.Index(data, code)
	if at < 0 {
		t.Fatal("the function is not in the file")
	}
	im.Close()
	dir := t.TempDir()
	path := func(i int) string { return filepath.Join(dir, fmt.Sprintf("image-%d", i)) }
	for i := range n {
		binary.LittleEndian.PutUint32(data[at:], uint32(i))
		if err := os.WriteFile(path(i), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	ix := imageindex.New(imageindex.Options{Dirs: []string{dir}})
	began := time.Now()
	st := refresh(t, ix)
	first := time.Since(began)
	began = time.Now()
	again := refresh(t, ix)
	second := time.Since(began)
	each := (held() - before) / n
	t.Logf("%d images in %v, again in %v, %d bytes of memory each", n, first, second, each)
	if st.Images != n || st.Read != n || again.Read != 0 {
		t.Errorf("%+v, then %+v", st, again)
	}
	if each > 4<<10 {
		t.Errorf("%d bytes of memory for each image, want at most 4 KiB", each)
	}
	mem := load(t, plain, 0)
	for _, i := range []int{0, 7, 500, n - 1} {
		for k, b := range binary.LittleEndian.AppendUint32(nil, uint32(i)) {
			mem.writes[serve.Addr+uint64(k)] = b
		}
		mem.reads = 0
		m, err := ix.Find(ctx, imageindex.Guest{Memory: mem, Kernel: path(i)})
		if err != nil || m.Kernel != path(i) || !m.Proved {
			t.Errorf("guest of image %d: %+v, %v", i, m, err)
		}
		if mem.reads > 1<<20 {
			t.Errorf("%d bytes of guest memory read", mem.reads)
		}
	}
}
