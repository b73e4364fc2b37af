package unikraft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// archContext is what is both kernel and architecture: how a thread that was
// switched out lies on its stack, and which register names the CPU.
type archContext struct {
	arch *arch.Arch
	// size is how many bytes at ctx.sp belong to a saved context.
	size uint64
	// saved lists the callee-saved registers: DWARF number and offset from
	// ctx.sp. ret is the offset of the return address; the caller's stack
	// pointer is ctx.sp + size.
	saved []savedReg
	ret   uint64
	// resume are the symbols ctx.ip lies in when a thread was switched out,
	// fresh the prefix of those it starts in.
	resume []string
	fresh  string
	// slot is the distance of two words pushed on a new thread's stack.
	slot uint64
	// firstArg is the DWARF number of the register of a function's first
	// argument.
	firstArg int
	// cpuReg is the DWARF number of the register that points to struct lcpu,
	// cpuNames its names among system registers.
	cpuReg   int
	cpuNames []string
}

type savedReg struct {
	num int
	off uint64
}

func contextOf(img Image) (archContext, error) {
	switch img.Arch() {
	case arch.X86_64:
		return x86Context(), nil
	case arch.ARM64:
		return arm64Context(), nil
	}
	name := "unknown"
	if img.Arch() != nil {
		name = img.Arch().Name
	}
	return archContext{}, fmt.Errorf("unikraft: the architecture %s is not known here; x86_64 and arm64 are", name)
}

// entries are the stubs a new thread starts in. Nothing called them; on arm64
// the link register still holds what is no caller.
func (a *archContext) entries() []string {
	return []string{a.fresh + "clearregs", a.fresh + "call0", a.fresh + "call1", a.fresh + "call2"}
}

// savedContext is where a thread that does not run is.
type savedContext struct {
	regs target.Regs
	// returning: the pc is a return address.
	returning bool
	// isNew: it never ran; entry is where it will start.
	isNew bool
	entry uint64
}

// restore reads the context of a thread from ctx.ip, ctx.sp and the bytes at
// ctx.sp, which are nil if they could not be read.
func (k *Kernel) restore(ip, sp uint64, stack []byte) (savedContext, error) {
	a := &k.arch
	c := savedContext{regs: target.NewRegs(a.arch)}
	name, _, named := k.symbolAt(ip)
	switch {
	case named && slices.Contains(a.resume, name):
		if uint64(len(stack)) < a.size {
			return c, fmt.Errorf("its saved registers at %#x are not readable", sp)
		}
		for _, r := range a.saved {
			c.regs.Set(r.num, le64(stack[r.off:r.off+8]))
		}
		c.regs.Set(a.arch.PC, a.arch.StripPAC(le64(stack[a.ret:a.ret+8])))
		c.regs.Set(a.arch.SP, sp+a.size)
		c.returning = true
		return c, nil
	case ip == 0:
		return c, fmt.Errorf("it has no saved context: its ctx.ip is 0")
	}
	// It starts at ip, with a stack and nothing else.
	c.regs.Set(a.arch.PC, ip)
	c.regs.Set(a.arch.SP, sp)
	c.isNew = true
	c.entry = ip
	if named && strings.HasPrefix(name, a.fresh) {
		c.entry = k.entry(name, stack)
	}
	return c, nil
}

// entry finds the function a new thread will start in, 0 if not known. The
// kernel pushed [_ctx_*_callN] [N arguments] [entry] (upstream's
// ukarch_ctx_init_entryN), the first only where the registers are cleared; our
// guest pushes [argument] [entry] (x86_64) or [entry] (arm64) and lets the
// clearing stub do the call.
func (k *Kernel) entry(start string, stack []byte) uint64 {
	slot := func(i int) (v uint64, function bool) {
		off := uint64(i) * k.arch.slot
		if off+8 > uint64(len(stack)) {
			return 0, false
		}
		v = le64(stack[off : off+8])
		_, in, ok := k.symbolAt(v)
		return v, ok && in == 0
	}
	arguments := func(name string) (n int, ok bool) {
		rest, ok := strings.CutPrefix(name, k.arch.fresh+"call")
		if !ok || len(rest) != 1 || rest[0] < '0' || rest[0] > '2' {
			return 0, false
		}
		return int(rest[0] - '0'), true
	}
	at := -1
	if n, ok := arguments(start); ok {
		at = n
	} else if v, ok := slot(0); ok {
		name, _, _ := k.symbolAt(v)
		if n, ok := arguments(name); ok {
			at = 1 + n
		}
	}
	if at >= 0 {
		if v, ok := slot(at); ok {
			return v
		}
		return 0
	}
	for _, i := range []int{1, 0} {
		if v, ok := slot(i); ok {
			return v
		}
	}
	return 0
}
