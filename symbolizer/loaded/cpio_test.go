package loaded_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// entry is a file of an archive.
type entry struct {
	name string
	mode int
	data []byte
}

// cpio writes an archive in the newc format.
func cpio(entries ...entry) []byte {
	var b bytes.Buffer
	pad := func() {
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	for i, e := range append(entries, entry{name: "TRAILER!!!"}) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			i, e.mode, 0, 0, 1, 0, len(e.data), 0, 0, 0, 0, len(e.name)+1, 0)
		b.WriteString(e.name + "\x00")
		pad()
		b.Write(e.data)
		pad()
	}
	return b.Bytes()
}

func writeCpio(t *testing.T, entries ...entry) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "root.cpio")
	if err := os.WriteFile(p, cpio(entries...), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// debugDir makes a folder with the debug file of a library.
func debugDir(t *testing.T, lib, id string) string {
	t.Helper()
	dir := t.TempDir()
	to := filepath.Join(dir, ".build-id", id[:2])
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("objcopy", "--only-keep-debug", lib, filepath.Join(to, id[2:]+".debug")).CombinedOutput(); err != nil {
		t.Fatalf("objcopy: %v\n%s", err, out)
	}
	return dir
}
