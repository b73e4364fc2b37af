package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// TestImagesVerb: a guest whose kernel has no .dbg beside it is matched by its bytes
// with the images of a folder, which the verb lists by the same hash.
func TestImagesVerb(t *testing.T) {
	t.Setenv("UKDBG_CACHE", filepath.Join(t.TempDir(), "cache"))
	folder, other := t.TempDir(), t.TempDir()
	for name, dir := range map[string]string{"ukguest-x86_64": folder, "ukguest-arm64": folder, "ukguest-x86_64-cfi": other} {
		im, err := images.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := im.Extract(dir); err != nil {
			t.Fatal(err)
		}
	}
	dbg := filepath.Join(folder, "ukguest-x86_64.dbg")
	im, err := symbolizer.Open(dbg)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	hash := im.ContentHash()

	text := mustVerb(t, "images", folder)
	if !strings.HasPrefix(text, "HASH") || strings.Count(text, "\n") != 3 || !strings.Contains(text, hash[:16]+"  x86_64  yes    -         "+dbg) {
		t.Errorf("images:\n%s", text)
	}
	if long := mustVerb(t, "images", folder, "--long"); !strings.Contains(long, hash) || !strings.Contains(long, "multiboot") {
		t.Errorf("images --long:\n%s", long)
	}
	var list struct {
		Images []struct {
			Hash, Arch, Debug string
			Files             []struct{ Path, Form string }
		}
	}
	if err := json.Unmarshal([]byte(mustVerb(t, "images", folder, "--json", "--find", hash[:8])), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Images) != 1 || list.Images[0].Hash != hash || list.Images[0].Debug != dbg || len(list.Images[0].Files) != 2 {
		t.Errorf("images --json --find: %+v", list)
	}
	if status, _, errs := verb(t, "", "images", folder, "--find", "0000"); status != exitFailed || !strings.Contains(errs, "none of 2 images") {
		t.Errorf("images --find of nothing: %d %s", status, errs)
	}

	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	g.WaitConsole(t, "requests served", patience)
	if err := os.Remove(g.Debug); err != nil {
		t.Fatal(err)
	}
	find := func(dir string, g *guest) (image struct {
		Path, Hash, Note string
		Match            *bool
	}) {
		t.Helper()
		var out struct {
			Guests []struct {
				PID   int
				Image json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(mustVerb(t, "ls", "--json", "--image-dir", dir)), &out); err != nil {
			t.Fatal(err)
		}
		for _, l := range out.Guests {
			if l.PID == g.Pid() {
				if err := json.Unmarshal(l.Image, &image); err != nil {
					t.Fatal(err)
				}
			}
		}
		return image
	}
	if m := find(folder, g); m.Path != dbg || m.Hash != hash || m.Match == nil || !*m.Match {
		t.Errorf("ls with the folder of its image: %+v", m)
	}
	m := find(other, g)
	if m.Path != "" || m.Match != nil || !strings.HasPrefix(m.Hash, "page:") || !strings.Contains(m.Note, "look for "+m.Hash) {
		t.Errorf("ls with a folder of another image: %+v", m)
	}
	if found := mustVerb(t, "images", folder, "--find", m.Hash); !strings.Contains(found, hash[:16]) {
		t.Errorf("images --find %s:\n%s", m.Hash, found)
	}

	// Of this one the page tables are not known before the image is.
	arm := boot(t, guesttest.Options{Image: "ukguest-arm64", QMP: true})
	arm.WaitConsole(t, "requests served", patience)
	for _, path := range []string{arm.Debug, arm.Boot} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if m := find(folder, arm); m.Path != filepath.Join(folder, "ukguest-arm64.dbg") || m.Match == nil || !*m.Match {
		t.Errorf("ls of arm64, whose kernel file is gone: %+v", m)
	}
}
