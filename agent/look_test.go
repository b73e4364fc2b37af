package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
)

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What lies beside a guest's kernel is another image's: the kernel was built anew since
// the guest began. The guest's own is found in the index by its memory; where it is not
// there, the image is unknown, with the hash to look for, and comes into use when
// somebody puts it there.
func TestImageMadeAnew(t *testing.T) {
	snap, other := snapshotOf(t, "ukguest-x86_64"), snapshotOf(t, "ukguest-x86_64-ring")
	name := unique(t, "anew-a")
	index, boot := t.TempDir(), t.TempDir()
	own, kernel := snap.Kernel+".dbg", filepath.Join(boot, "kernel")
	copyFile(t, kernel, other.Kernel)
	copyFile(t, kernel+".dbg", other.Kernel+".dbg")
	snap.Kernel = kernel
	c := quick(t, name)
	c.Images = config.Images{Dirs: []string{index}, Every: time.Second}
	sink := newCollector(t)
	sink.to(c)
	vm := fake(t, snap, fakevmm.Options{Name: name, Shared: true})
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	a := run(t, c, nil)
	a.guest(name, func(g status.Guest) bool {
		return g.Image.Debug == "" && strings.Contains(g.Problem, "is not what it runs") && strings.Contains(g.Problem, "look for the image with hash page:")
	})
	a.scrapes(`ukdbg_guest_info_ratio\{.*guest="` + name + `",image="page:.*\} 1`)
	copyFile(t, filepath.Join(index, "found.dbg"), own)
	g := a.guest(name, func(g status.Guest) bool {
		return g.Image.Debug == filepath.Join(index, "found.dbg") && g.Profile.Samples > 0
	})
	if strings.Contains(g.Problem, "image unknown") || len(g.Image.Hash) != 64 {
		t.Errorf("%+v", g)
	}
	sink.await(t, "/v1development/profiles", func(b []byte) bool { return strings.Contains(string(b), "idle_main") })
}
