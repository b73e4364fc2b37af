package ctype_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// BenchmarkFirstLookup is what the first type of an image costs: unit headers,
// the scan for names, and the type itself.
func BenchmarkFirstLookup(b *testing.B) {
	path := filepath.Join("..", "..", "guest", "prebuilt", "ukguest-x86_64.dbg")
	if given := os.Getenv("UKDBG_BENCH_IMAGE"); given != "" {
		path = given
	}
	im, err := symbolizer.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer im.Close()
	b.SetBytes(int64(len(im.Section(".debug_info"))))
	b.ReportAllocs()
	for b.Loop() {
		ts, err := ctype.New(im)
		if err != nil {
			b.Fatal(err)
		}
		if t, err := ts.Lookup("struct uk_thread"); err == nil {
			t.Fields()
		}
	}
}
