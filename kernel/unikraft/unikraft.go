package unikraft

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// CPUs gives the processors of the guest and their registers.
type CPUs interface {
	target.CPULister
	target.RegisterReader
}

// Config says where the guest is.
type Config struct {
	Image  Image
	Memory target.Memory
	// CPUs is nil where there are no registers: threads then are told by the
	// kernel's word alone.
	CPUs CPUs
	// System is nil where a target has no system registers. It is asked for
	// the register that names the CPU where the general ones lack it.
	System target.SystemRegisters
	// Slide is run-time minus link-time address.
	Slide uint64
}

// Kernel is a running or dead Unikraft. It may not be used by several
// goroutines at once.
type Kernel struct {
	cfg     Config
	layout  threadLayout
	arch    archContext
	version string
	ids     map[uint64]int
	lastID  int
	waits   []WaitObject
	waitsOK bool
}

var _ kernel.Kernel = (*Kernel)(nil)

// symbols are those that only Unikraft has, any of which is enough.
var symbols = []string{"uk_sched_head", "__uk_sched_thread_current", "_uk_alloc_head", "uk_trace_buffer_writep"}

// Detect reports whether the image is a Unikraft.
func Detect(img Image) bool {
	for _, s := range symbols {
		if _, _, ok := img.SymbolByName(s); ok {
			return true
		}
	}
	return false
}

// New prepares to read the guest. It reads nothing yet.
func New(cfg Config) (*Kernel, error) {
	if !Detect(cfg.Image) {
		return nil, fmt.Errorf("no Unikraft: the image has none of the symbols %s", strings.Join(symbols, ", "))
	}
	a, err := contextOf(cfg.Image)
	if err != nil {
		return nil, err
	}
	return &Kernel{
		cfg:     cfg,
		layout:  newThreadLayout(cfg.Image),
		arch:    a,
		version: findVersion(cfg.Image),
		ids:     map[uint64]int{},
	}, nil
}

// Name returns "Unikraft".
func (k *Kernel) Name() string { return "Unikraft" }

// Version returns the release and codename, as in "0.17.0 Calypso".
func (k *Kernel) Version() string { return k.version }

// versionTexts match the strings of the boot banner and the crash screen: with
// the codename first, "Powered by Unikraft Calypso (0.17.0~eaf6fda)" or
// "   Calypso 0.17.0~eaf6fda\n" (lib/ukboot/banner.c).
// Compiled when first asked for: an init would cost every start of the command.
var versionTexts = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`Unikraft ([A-Z][a-z]{2,20}) \(?(\d+\.\d+[0-9A-Za-z.~_-]{0,40})`),
		regexp.MustCompile(`Unikraft crash - ([A-Z][a-z]{2,20}) \((\d+\.\d+[0-9A-Za-z.~_-]{0,40})`),
		regexp.MustCompile(`  ([A-Z][a-z]{2,20}) (\d+\.\d+\.\d+[0-9A-Za-z.~_-]{0,40})[\n\x00]`),
	}
})

// maxVersion bounds what is taken for a version, in bytes.
const maxVersion = 64

// findVersion takes the release from the macros the build defines, where the
// image was built with -g3, else from its strings.
func findVersion(img Image) string {
	full, ok := img.Macro("UK_FULLVERSION")
	if name, named := img.Macro("UK_CODENAME"); ok && named && len(full)+len(name) < maxVersion {
		return full + " " + name
	}
	rodata := img.ReadOnlyData()
	for _, re := range versionTexts() {
		if m := re.FindSubmatch(rodata); m != nil {
			return fmt.Sprintf("%s %s", m[2], m[1])
		}
	}
	return ""
}

// symbol returns a symbol's run-time address.
func (k *Kernel) symbol(name string) (addr, size uint64, ok bool) {
	addr, size, ok = k.cfg.Image.SymbolByName(name)
	return addr + k.cfg.Slide, size, ok
}

// symbolAt names a run-time address.
func (k *Kernel) symbolAt(addr uint64) (name string, off uint64, ok bool) {
	return k.cfg.Image.SymbolAt(addr - k.cfg.Slide)
}

// absent is the error for what an image does not have.
func absent(what, why string) error {
	return fmt.Errorf("%s: %w (%s)", what, kernel.ErrAbsent, why)
}

// TraceBuffer returns where the trace buffer is at run time.
func (k *Kernel) TraceBuffer() (tracebuf.Location, error) {
	var loc tracebuf.Location
	var ok [3]bool
	loc.Buffer, loc.Size, ok[0] = k.symbol("uk_trace_buffer")
	loc.Writep, _, ok[1] = k.symbol("uk_trace_buffer_writep")
	loc.Free, _, ok[2] = k.symbol("uk_trace_buffer_free")
	if ok != [3]bool{true, true, true} {
		return tracebuf.Location{}, absent("trace buffer", "no symbol uk_trace_buffer; build it with CONFIG_LIBUKDEBUG_TRACEPOINTS")
	}
	return loc, nil
}
