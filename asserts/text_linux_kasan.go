package asserts

import (
	"bytes"
	"fmt"
	"strings"
)

// beginLinuxKASAN takes a report of Linux's mm/kasan/report.c:
//
//	BUG: KASAN: TYPE in FUNCTION+0x…/0x…
//	Read of size 4 at addr ffff… by task NAME/PID
//	Call Trace: …
//	Allocated by task PID: …
//	Freed by task PID: …
//	The buggy address belongs to the object at ffff…
//	 which belongs to the cache NAME of size N
//	The buggy address is located N bytes inside of
//	Memory state around the buggy address:
//	>ffff…: fa fb fb fb …
//
// Before 4.14 the address is on the first line ("… at addr ffff…").
func beginLinuxKASAN(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "BUG: KASAN: ")
	if !ok {
		return nil
	}
	f := newFault(AddressSanitizer, "linux-kasan", s)
	what, where, _ := bytes.Cut(rest, []byte(" in "))
	f.Subkind = sanitizerSubkind(string(bytes.TrimSpace(what)))
	f.Reason = "KASAN: " + string(bytes.TrimSpace(what))
	if name := kernelSymbol(where); name != "" {
		f.frame(CodeAddr{Kind: AtPC, Function: name, Offset: symbolOffset(where)})
		f.detail("at", symbolText(where))
		f.Reason += " in " + name
	}
	if w := hexAfter(rest, "at addr "); w.Known {
		f.Address = w
	}
	f.goesOn = true
	f.lacks("registers")
	return &linux{f: f, last: "======"}
}

// sanitizerSubkind maps the names that Linux's KASAN and the compilers' ASan give
// to the kinds of bad access.
func sanitizerSubkind(what string) string {
	switch what {
	case "use-after-free", "slab-use-after-free", "heap-use-after-free":
		return SubUseAfterFree
	case "slab-out-of-bounds", "heap-buffer-overflow":
		return SubHeapOverflow
	case "stack-out-of-bounds", "stack-buffer-overflow", "stack-buffer-underflow", "dynamic-stack-buffer-overflow":
		return SubStackOverflow
	case "global-out-of-bounds", "global-buffer-overflow":
		return SubGlobalOverflow
	case "vmalloc-out-of-bounds", "alloca-out-of-bounds", "out-of-bounds":
		return SubOutOfBounds
	case "null-ptr-deref":
		return SubNullDereference
	case "double-free", "double-free or invalid-free":
		return SubDoubleFree
	}
	return what // stack-use-after-return, invalid-free, wild-memory-access, …
}

// object takes what the report tells of the access and of the object.
func (l *linux) object(b []byte) bool {
	f := l.f
	if f.Kind != AddressSanitizer {
		return false
	}
	read, write := bytes.HasPrefix(b, []byte("Read of size ")), bytes.HasPrefix(b, []byte("Write of size "))
	if read || write {
		f.Access = Read
		if write {
			f.Access = Write
		}
		if rest, ok := after(b, " of size "); ok {
			if v, n := decimal(rest); n > 0 {
				f.detail("size", fmt.Sprint(v))
			}
		}
		if w := hexAfter(b, "at addr "); w.Known {
			f.Address = w
		}
		if task, ok := after(b, " by task "); ok {
			name, _, _ := strings.Cut(string(task[:min(len(task), maxName)]), "/")
			f.Thread = name
		}
		return true
	}
	if w := hexAfter(b, "belongs to the object at "); w.Known {
		f.detail("object", w.hex())
		return true
	}
	if rest, ok := after(b, "which belongs to the cache "); ok {
		f.detail("cache", symbolText(rest))
		return true
	}
	if rest, ok := after(b, "The buggy address is located "); ok {
		f.detail("position", symbolText(rest))
		return true
	}
	if f.Detail("position") != "" && bytes.Contains(b, []byte("-byte region [")) {
		f.redetail("position", strings.TrimSuffix(f.Detail("position"), " "+symbolText(b))+" "+symbolText(b))
		return true
	}
	for _, known := range [...]string{"The buggy address", "page:", "head:", "flags:", "raw:", "page dumped because", "page_type", "Memory state around"} {
		if bytes.HasPrefix(b, []byte(known)) {
			l.part = linuxOther
			return true
		}
	}
	return false
}

// shadow takes the rows of shadow memory; the one with the bad address is
// marked.
func (l *linux) shadow(b []byte) bool {
	if l.f.Kind != AddressSanitizer {
		return false
	}
	marked := b[0] == '>'
	row := bytes.TrimPrefix(b, []byte(">"))
	addr, n := hexValue(row)
	if n < 8 || n+2 > len(row) || row[n] != ':' {
		return bytes.Equal(b, []byte("^"))
	}
	codes, _ := hexBytes(bytes.TrimLeft(row[n+1:], " "), 16)
	if len(codes) == 0 {
		return false
	}
	const perByte = 8
	if a := l.f.Address; marked && a.Known && a.V-addr < uint64(len(codes))*perByte {
		l.f.detail("shadow byte", fmt.Sprintf("%#02x", codes[(a.V-addr)/perByte]))
	}
	return true
}
