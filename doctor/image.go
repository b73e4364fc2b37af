package doctor

import (
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// image is what the image alone tells.
type image struct {
	open, dwarf, unikraft, scheduler, trace, points, cfi bool
}

// The changes to an image, by Unikraft's Kconfig.
const (
	enableDebug = "build with CONFIG_DEBUG_SYMBOLS_LVL3=y and give NAME.dbg with -e"
	enableTrace = "build with CONFIG_LIBUKDEBUG_TRACEPOINTS=y (and CONFIG_LIBUKDEBUG_ALL_TRACEPOINTS=y for the libraries' own)"
	enableSched = "build with CONFIG_LIBUKSCHED=y"
	enableFP    = "build with CONFIG_OPTIMIZE_NOOMITFP=y"
	giveImage   = "give the image with debug information: -e NAME.dbg"
)

// openImage looks at the image: the one given, else the one beside the guest's
// kernel.
func (x *exam) openImage() {
	if x.Image == "" && x.Guest != nil {
		x.Image, x.ImageNote = hosts.Image(&x.Guest.Process)
	} else if x.Image == "" {
		x.ImageNote = "not given"
	}
	if x.Image == "" {
		return
	}
	im, err := symbolizer.Open(x.Image)
	if err != nil {
		x.ImageNote = err.Error()
		return
	}
	defer im.Close() // it was only read
	x.im = image{open: true, dwarf: im.HasDWARF(), unikraft: unikraft.Detect(unikraft.FromSymbolizer(im, nil))}
	has := func(name string) bool { _, ok := im.SymbolByName(name); return ok }
	x.im.scheduler, x.im.trace = has("uk_sched_head"), has("uk_trace_buffer")
	section, err := im.SectionData(".uk_tracepoints_list")
	x.im.points = err == nil && len(section) > 0
	table, err := im.CFI()
	x.im.cfi = err == nil && table != nil
}

// lacks says what the image wants for a power, "" if nothing.
func (m image) lacks(power string) (why, change string) {
	switch {
	case !m.open:
		return "no image is known", giveImage
	case !m.unikraft:
		return "the image is no kernel known here", ""
	case power == Trace && !m.trace:
		return "the image has no trace buffer", enableTrace
	case power == Trace && !m.points:
		return "the image file has no tracepoint definitions", giveImage
	case power == Threads && !m.scheduler:
		return "the image has no scheduler", enableSched
	case power == Threads && !m.dwarf:
		return "the image has no debug information, which tells the layout of threads", enableDebug
	}
	return "", ""
}

// advise tells what would make more of the image known.
func (x *exam) advise() {
	switch {
	case x.im.open && !x.im.dwarf:
		x.Advice = append(x.Advice, "the image has no debug information (lines, types, variables): "+enableDebug)
	case x.im.open && !x.im.cfi:
		x.Advice = append(x.Advice, "the image has no unwind tables: stacks follow frame pointers only: "+enableFP)
	}
}
