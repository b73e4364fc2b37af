package ukdbg

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
)

// SourceMap looks for sources recorded under the folder From in To.
type SourceMap struct{ From, To string }

// Options say what to open.
type Options struct {
	// Target is a target address: see target.ParseSpec.
	Target string
	// Image is the ELF image with debug information, "" for none.
	Image string
	// Debug finds debug information apart from the image, nil looks nowhere.
	Debug *debugfile.Finder
	// Apps are files that may be images the guest loaded itself, Roots folders that
	// hold such files by their paths in the guest, and Initrd the cpio archive they
	// came in; "" takes the one the VMM was started with.
	Apps, Roots []string
	Initrd      string
	// Images has images that are open already, and keeps Image for other sessions;
	// nil opens it for this one alone.
	Images *Images
	// Force goes on although the image does not match the guest.
	Force bool
	// SourceMap is applied in order; the first entry that fits wins.
	SourceMap []SourceMap
	// Output gets what the guest or the stub prints over the link, nil to drop it.
	Output func(text []byte)
	// CacheDir is a folder to keep on disk what was made of the image at some cost,
	// for the next process; "" keeps nothing.
	CacheDir string
	// Timeout bounds the connection, 0 for 5 s.
	Timeout time.Duration
	// Brief lets a guest behind a stub run but for stops of at most
	// Guard.MaxPause, DefaultMaxPause if that is 0, in which it is read. It is
	// observed then, not under control.
	Brief bool
	// Dump tells of a memory dump what its format does not.
	Dump DumpOptions
	// Guard says who gives the guest back if this process dies; the zero value
	// is nobody.
	Guard guard.Options
}

// DumpOptions tell of a memory dump what its format does not.
type DumpOptions struct {
	// Base is where raw RAM begins in physical memory, nil for the machine's own.
	Base *uint64
	// Machine names how raw RAM lies in physical memory (corefile.Layouts), ""
	// for one piece.
	Machine string
	// Memory is the memory file of a Firecracker snapshot whose state file is the
	// target.
	Memory string
	// Log is console text whose last fault screen gives the registers of a dump
	// that has none, "" for none.
	Log string
}

// sourcePath applies the source map to a recorded path.
func (o *Options) sourcePath(recorded string) string {
	for _, m := range o.SourceMap {
		if rest, ok := strings.CutPrefix(recorded, m.From); ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(m.From, "/")) {
			return filepath.Join(m.To, rest)
		}
	}
	return recorded
}
