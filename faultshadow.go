package ukdbg

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/asserts/origin"
	"github.com/ukdbg/ukdbg/asserts/shadow"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/insn"
)

// shadowSize is how much shadow Unikraft's KASAN has, in bytes (lib/kasan,
// KASAN_MD_SHADOWSIZE).
const shadowSize = 16 << 20

// linuxShadow is the offset of generic KASAN's shadow with 48-bit addresses
// (Linux arch/x86/Kconfig and arch/arm64/Kconfig, KASAN_SHADOW_OFFSET).
func linuxShadow(a *arch.Arch) uint64 {
	if a == arch.ARM64 {
		return 0xdfff800000000000
	}
	return 0xdffffc0000000000
}

// userShadow is the offset of AddressSanitizer's on Linux (asan_mapping.h).
func userShadow(a *arch.Arch) uint64 {
	if a == arch.ARM64 {
		return 1 << 36
	}
	return 0x7fff8000
}

// ShadowMap finds the sanitizer's shadow memory by the symbols of its runtime.
// ok is false if the image has none, or it is not in use yet.
func (s *Session) ShadowMap(ctx context.Context) (m shadow.Map, ok bool) {
	if s.image == nil {
		return shadow.Map{}, false
	}
	word := func(name string) (uint64, bool) {
		sym, found := s.image.SymbolByName(name)
		if !found {
			return 0, false
		}
		var b [8]byte
		n := min(max(int(sym.Size), 1), 8)
		if target.ReadFull(ctx, s.mem, b[:n], s.mapping.Run(sym.Addr)) != nil {
			return 0, false
		}
		return binary.LittleEndian.Uint64(b[:]), true
	}
	has := func(name string) bool { _, found := s.image.SymbolByName(name); return found }
	for _, name := range []string{"shadow_mem_base", "md_shadow_base", "md_base"} {
		base, found := word(name)
		if !found || base == 0 {
			continue
		}
		if ready, known := word("kasan_ready"); known && ready == 0 {
			return shadow.Map{}, false
		}
		start := (base + 0xfff) &^ 0xfff
		first := start + shadowSize
		return shadow.Map{Flavour: shadow.Mimiker, Offset: start - first>>3, First: first, Last: first + shadowSize<<3 - 1}, true
	}
	switch {
	case has("kasan_init") && has("__asan_load8"):
		return shadow.Map{Flavour: shadow.Linux, Offset: linuxShadow(s.arch), First: 1 << 63, Last: 1<<64 - 1}, true
	case has("__asan_init") && has("__asan_report_load8"):
		offset := userShadow(s.arch)
		if v, found := word("__asan_shadow_memory_dynamic_address"); found && v != 0 {
			offset = v
		}
		return shadow.Map{Flavour: shadow.User, Offset: offset, Last: 1<<47 - 1}, true
	}
	return shadow.Map{}, false
}

// sanitized finds the access that the sanitizer refused, in the call of its
// check, and what the shadow says of it. frames begins with the function that
// made the access.
func (s *Session) sanitized(ctx context.Context, f *asserts.Fault, frames []unwind.Frame) {
	if f.Kind != asserts.AddressSanitizer {
		return
	}
	x := explainer{ctx: ctx, s: s, f: f, frames: frames, mem: s.mem, funcs: map[uint64]*origin.Func{}}
	size := uint64(0)
	m, ok := s.ShadowMap(ctx)
	if !f.Address.Known {
		if size = x.checkedAccess(); !f.InferredAddress.Known && ok {
			x.reportedAccess(m)
		}
	}
	addr := f.Address
	if !addr.Known {
		addr = f.InferredAddress
	}
	if !addr.Known || !ok {
		return
	}
	if d, err := m.Around(ctx, s.mem, addr.V); err == nil {
		f.Shadow = d
	}
	if size == 0 {
		// Errors of a text that is no number leave 0.
		_, _ = fmt.Sscanf(f.Detail("size"), "%d", &size)
	}
	asserts.ApplyShadow(ctx, f, m, s.mem, addr.V, max(size, 1))
}

// The report that the runtime of userspace's sanitizer is about (compiler-rt
// asan_errors.h, asan_descriptions.h): in an ErrorGeneric the description of the
// address, which begins with its kind and the address itself, ends where the pc of
// the access is, behind which its frame and stack pointer are.
const (
	currentError   = "_ZN6__asan19ScopedInErrorReport14current_error_E"
	reportAddr     = 296 // bytes before the pc
	reportKind     = reportAddr + 8
	maxReport      = 4096
	addressKinds   = 4 // shadow, heap, stack, global
	stackOfReport  = 16
	maxReportStack = 8 << 20
)

// reportedAccess takes the address from that report. It counts if the shadow
// forbids to use it.
func (x *explainer) reportedAccess(m shadow.Map) {
	sym, ok := x.s.image.SymbolByName(currentError)
	if !ok || sym.Size > maxReport || len(x.frames) == 0 {
		return
	}
	b := make([]byte, sym.Size)
	if target.ReadFull(x.ctx, x.mem, b, x.s.mapping.Run(sym.Addr)) != nil {
		return
	}
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	fr := &x.frames[0]
	for at := reportKind; at+stackOfReport+8 <= len(b); at += 8 {
		if word(at) != fr.PC || word(at+stackOfReport)-fr.Regs.SP() > maxReportStack && fr.Regs.SP()-word(at+stackOfReport) > maxReportStack {
			continue
		}
		v, kind := word(at-reportAddr), binary.LittleEndian.Uint32(b[at-reportKind:])
		if _, allowed, err := m.Check(x.ctx, x.mem, v, 1); err != nil || allowed || kind < 1 || kind > addressKinds {
			continue
		}
		x.f.InferredAddress = asserts.Value(v)
		x.f.Inferred = append(x.f.Inferred, fmt.Sprintf("address %#x: from the sanitizer's record of its report", v))
		return
	}
}

// checkedAccess takes address and size from the arguments of the call of the
// sanitizer's check that the innermost frame made.
func (x *explainer) checkedAccess() (size uint64) {
	if len(x.frames) == 0 {
		return 0
	}
	find, fn, ok := x.finder(0)
	if !ok {
		return 0
	}
	in, ok := fn.Before(find.At)
	if !ok || in.Flow != insn.Call {
		return 0
	}
	to, direct := in.Target, in.Direct
	name, _, known := x.s.Symbolize(to)
	if !direct || !known || !strings.Contains(name, "asan_") {
		return 0
	}
	first, second := 5, 4 // rdi, rsi
	if x.s.arch == arch.ARM64 {
		first, second = 0, 1
	}
	addr, ok := find.Value(first, in.Addr)
	if !ok {
		return 0
	}
	x.f.InferredAddress = asserts.Value(addr)
	x.f.Inferred = append(x.f.Inferred, fmt.Sprintf("address %#x: the argument of the call of %s", addr, name))
	digits := strings.TrimFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	if _, err := fmt.Sscanf(digits, "%d", &size); err != nil {
		size, _ = find.Value(second, in.Addr)
	}
	return size
}

// sanitizerCause tells which object the refused access missed.
func (x *explainer) sanitizerCause() {
	at := x.faultAddress()
	if !at.Known || x.thread == nil {
		return // a log has no shadow
	}
	who := ""
	if find, fn, ok := x.finder(0); ok {
		if in, ok := fn.Before(find.At); ok && in.Flow == insn.Call {
			first := 5
			if x.s.arch == arch.ARM64 {
				first = 0
			}
			if n, ok := find.Register(first, in.Addr); ok && !n.Const {
				who = ", through " + n.Text
			}
		}
	}
	m, ok := x.s.ShadowMap(x.ctx)
	if !ok {
		return
	}
	access := string(x.f.Access)
	if access == "" {
		access = "access"
	}
	if n := x.f.Detail("size"); n != "" {
		access += " of " + n + " byte"
		if n != "1" {
			access += "s"
		}
	}
	if x.f.Subkind == asserts.SubUseAfterFree {
		text := fmt.Sprintf("%s of freed memory", access)
		if run, ok := m.Same(x.ctx, x.mem, at.V); ok {
			text += fmt.Sprintf(", byte %d of %d that were freed (%#x to %#x)", at.V-run.Addr, run.Size, run.Addr, run.Addr+run.Size-1)
		}
		x.because(text+who, "from the shadow memory")
		return
	}
	switch x.f.Subkind {
	case asserts.SubStackOverflow, "use-after-scope", "use-after-return":
		if fr, err := shadow.FindFrame(x.ctx, x.mem, at.V); err == nil && fr.Text(at.V) != "" {
			name, _, _ := x.s.Symbolize(fr.PC)
			x.because(fmt.Sprintf("%s %s, a variable of %s on the stack%s", access, fr.Text(at.V), name, who), "from the shadow memory and the frame's description")
			return
		}
	}
	run, before, ok := m.Good(x.ctx, x.mem, at.V, 512)
	if !ok {
		return
	}
	where := fmt.Sprintf("%d bytes before", run.Addr-at.V)
	if before {
		where = fmt.Sprintf("%d bytes behind the end of", at.V-(run.Addr+run.Size))
		if at.V == run.Addr+run.Size {
			where = "right behind the end of"
		}
	}
	if o := x.object(asserts.Value(run.Addr + run.Size - 1)); before && o != nil && o.Kind == string(OwnedByHeap) && o.Size != 0 && o.Addr+o.Size == run.Addr+run.Size {
		x.because(fmt.Sprintf("%s %s a heap object of %d bytes (%#x to %#x)%s", access, where, o.Size, o.Addr, o.Addr+o.Size-1, who), "from the shadow memory and the allocator")
		return
	}
	if o := x.object(asserts.Value(run.Addr)); o != nil && o.Kind == string(OwnedBySymbol) {
		x.because(fmt.Sprintf("%s %s %s, a global of %d bytes%s", access, where, o.Name, o.Size, who), "from the shadow memory and the symbols")
		return
	}
	x.because(fmt.Sprintf("%s %s %d usable bytes (%#x to %#x)%s", access, where, run.Size, run.Addr, run.Addr+run.Size-1, who), "from the shadow memory")
}
