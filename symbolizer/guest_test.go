package symbolizer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// guestImage writes the .dbg file of a prebuilt guest and returns its path.
func guestImage(t testing.TB, name string) string {
	t.Helper()
	f, err := images.Open(name + ".dbg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path := filepath.Join(t.TempDir(), name+".dbg")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := out.ReadFrom(f); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGuestImagesMatchLLVM compares thousands of addresses of every prebuilt
// guest.
func TestGuestImagesMatchLLVM(t *testing.T) {
	names := images.Names()
	if len(names) < 4 {
		t.Fatalf("only %d guest images", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			im, err := images.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			step := uint64(7)
			if im.Arch == "arm64" {
				step = 8
			}
			compareLLVM(t, guestImage(t, name), step)
		})
	}
}

func BenchmarkOpenAndResolve(b *testing.B) {
	path := guestImage(b, "ukguest-x86_64")
	im, err := symbolizer.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	addrs := codeAddrs(im, 1)
	b.Run("first of 12", func(b *testing.B) {
		for b.Loop() {
			im, err := symbolizer.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			for i := range 12 {
				_, _ = im.Resolve(addrs[i*len(addrs)/12])
			}
			_, _ = im.CFI()
		}
	})
	b.Run("later", func(b *testing.B) {
		i := 0
		for b.Loop() {
			_, _ = im.Resolve(addrs[i])
			if i += 9973; i >= len(addrs) {
				i -= len(addrs)
			}
		}
	})
}
