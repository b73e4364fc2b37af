package hosts

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg/internal/inode"
	"github.com/ukdbg/ukdbg/vmm"
)

// Image looks for the image with debug information beside the kernel a guest
// was booted from: NAME.dbg, then the kernel itself if it has some. Where there
// is none, why says so.
//
// A path in another's root (a container, a jail) is that one's choice: it is
// opened as data, as the image a person names is.
func Image(p *vmm.Process) (path, why string) {
	k := p.Kernel
	if k == "" {
		if p.Kind == vmm.Firecracker {
			return "", "its kernel is named by its API only, which this user may not ask"
		}
		return "", "no -kernel on its command line"
	}
	for _, name := range []string{k + ".dbg", strings.TrimSuffix(k, filepath.Ext(k)) + ".dbg"} {
		if isELF(name, false) {
			return name, ""
		}
	}
	if isELF(k, true) {
		return k, ""
	}
	if _, err := os.Stat(k); err != nil {
		return "", "its kernel file cannot be read: " + err.Error()
	}
	return "", "no " + filepath.Base(k) + ".dbg beside its kernel"
}

// isELF reports whether a regular file is an ELF file, with DWARF if wanted.
func isELF(path string, dwarf bool) bool {
	file, _, err := inode.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	f, err := elf.NewFile(file)
	if err != nil {
		return false
	}
	return !dwarf || f.Section(".debug_info") != nil || f.Section(".zdebug_info") != nil
}
