package symdiff

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuestImages compares 20,000 addresses of each image of our own guest.
func TestGuestImages(t *testing.T) {
	images, err := filepath.Glob(filepath.Join("..", "..", "guest", "prebuilt", "*.dbg"))
	if err != nil || len(images) < 10 {
		t.Fatalf("%d images, %v", len(images), err)
	}
	for _, image := range images {
		t.Run(filepath.Base(image), func(t *testing.T) { compareAll(t, image) })
	}
}

// TestLinux does the same with Debian's kernel if the environment has BIG=1.
func TestLinux(t *testing.T) {
	if os.Getenv("BIG") != "1" {
		t.Skip("takes gigabytes: BIG=1 asks for it")
	}
	out, err := exec.Command(filepath.Join("..", "..", "scripts", "vmlinux.sh")).Output()
	if err != nil {
		t.Fatalf("scripts/vmlinux.sh: %v", err)
	}
	compareAll(t, strings.TrimSpace(string(out)))
}

func compareAll(t *testing.T, image string) {
	t.Helper()
	report, err := Compare(image, Options{Limit: limit, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range report.Differences {
		if i == 5 {
			break
		}
		t.Errorf("nothing explains %v", d)
	}
	t.Logf("%d addresses, %d with a line, %d inlined, %d equal, explained %v, not %d",
		report.Addresses, report.Lines, report.Inlined, report.Equal, report.Ruled, len(report.Differences))
	if report.Addresses != limit || report.Lines < limit/2 || report.Inlined < limit/10 || report.Equal < limit/2 {
		t.Error("too little was compared")
	}
}
