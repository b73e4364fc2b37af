package asserts

import (
	"bytes"
	"fmt"
	"strings"
)

// kasan collects the six lines of lib/kasan/kasan.c (ported from Mimiker):
//
//	===========KernelAddressSanitizer===========
//	ERROR:
//	* invalid access to address 0x25b01b
//	* write of size 1
//	* redzone code 0x2 (partial redzone)
//	============================================
//
// A fork prints the shadow memory behind it, 12 rows with the bad byte in
// brackets, and a legend:
//
//	Shadow bytes around buggy address:
//	<ADDRESS>:  00[02] fa …
//	Shadow byte legend (one shadow byte represents 8 application bytes):
//	address sanitizer detected an error
type kasan struct {
	f     *Fault
	lines int
	done  bool // the second rule was seen
}

func beginKASAN(s *segment, _ assembler) assembler {
	if _, ok := after(s.body, "==KernelAddressSanitizer=="); !ok {
		return nil
	}
	f := newFault(AddressSanitizer, "kasan-mimiker", s)
	f.Reason = "KASAN: invalid access"
	if s.caller != 0 {
		f.frame(CodeAddr{Addr: s.caller, Kind: ReturnAddr, How: "return address of the print call"})
	}
	f.lacks("registers")
	return &kasan{f: f}
}

func (k *kasan) fault() *Fault { return k.f }

func (k *kasan) add(s *segment) verdict {
	b := bytes.TrimLeft(s.body, " ")
	if k.lines++; k.lines > 64 {
		return over
	}
	if k.done {
		return k.shadow(b)
	}
	f := k.f
	switch {
	case bytes.HasPrefix(b, []byte("ERROR:")):
		return taken
	case bytes.Contains(b, []byte("* invalid access to address ")):
		f.Address = hexAfter(b, "* invalid access to address ")
		return taken
	case bytes.Contains(b, []byte("* read of size ")), bytes.Contains(b, []byte("* write of size ")):
		k.access(b)
		return taken
	case bytes.Contains(b, []byte("* redzone code ")):
		k.redzone(b)
		return taken
	case bytes.HasPrefix(b, []byte("========")):
		f.cutAt(s)
		k.conclude()
		k.done = true
		return taken
	}
	return foreign
}

// shadow takes the lines behind the second rule.
func (k *kasan) shadow(b []byte) verdict {
	switch {
	case bytes.HasPrefix(b, []byte("Shadow byte")):
		return taken
	case bytes.HasPrefix(b, []byte("address sanitizer detected an error")):
		return last
	}
	name, row, ok := bytes.Cut(b, []byte(":"))
	if !ok {
		return foreign
	}
	if _, n := hexValue(bytes.TrimPrefix(name, []byte("=>"))); n > 4 && len(row) > 32 {
		if i := bytes.IndexByte(row, '['); i >= 0 && i+3 < len(row) && row[i+3] == ']' {
			if code, _ := hexBytes(row[i+1:i+3], 1); len(code) == 1 {
				k.f.detail("shadow byte", fmt.Sprintf("%#02x", code[0]))
			}
		}
		return taken
	}
	if code, rest := hexBytes(bytes.TrimSpace(row), 1); len(code) == 1 && len(rest) == 0 {
		return taken // of the legend
	}
	return foreign
}

func (k *kasan) access(b []byte) {
	rest, ok := after(b, "* read of size ")
	k.f.Access = Read
	if !ok {
		rest, _ = after(b, "* write of size ")
		k.f.Access = Write
	}
	if v, n := decimal(rest); n > 0 {
		k.f.detail("size", fmt.Sprint(v))
	}
}

func (k *kasan) redzone(b []byte) {
	rest, _ := after(b, "* redzone code ")
	v, n := hexValue(rest)
	if n == 0 {
		return
	}
	k.f.detail("redzone code", fmt.Sprintf("%#x", v))
	name := ""
	if i, j := bytes.IndexByte(rest, '('), bytes.LastIndexByte(rest, ')'); i >= 0 && j > i {
		name = string(rest[i+1 : j])
	}
	if name != "" {
		k.f.detail("redzone", name)
		k.f.Subkind = kasanSubkind(name)
	}
	if k.f.Subkind != "" {
		return
	}
	if sub := unikraftRedzone(v); sub != "" {
		k.f.Subkind = sub
		k.f.infer(sub + ": from the redzone code's meaning in Unikraft's KASAN")
	}
}

// conclude writes the reason from what was found.
func (k *kasan) conclude() {
	f := k.f
	what := "KASAN: invalid access"
	if f.Access != "" {
		what = "KASAN: invalid " + string(f.Access)
	}
	if n := f.Detail("size"); n != "" {
		what += " of " + n + " bytes"
		if n == "1" {
			what = strings.TrimSuffix(what, "s")
		}
	}
	if f.Address.Known {
		what += fmt.Sprintf(" at %#x", f.Address.V)
	}
	if r := f.Detail("redzone"); r != "" {
		what += ": " + r
	}
	f.Reason = what
}

// kasanSubkind maps the printed name of a redzone.
func kasanSubkind(name string) string {
	name = strings.ToLower(name)
	switch {
	case strings.Contains(name, "use-after-free"), strings.Contains(name, "freed"):
		return SubUseAfterFree
	case strings.Contains(name, "stack"):
		return SubStackOverflow
	case strings.Contains(name, "global"):
		return SubGlobalOverflow
	case strings.Contains(name, "pool"), strings.Contains(name, "malloc"), strings.Contains(name, "heap"):
		return SubHeapOverflow
	}
	return "" // "buffer-overflow", "partial redzone": the code says more
}

// unikraftRedzone gives the meaning of a shadow code in Unikraft's KASAN. The
// same numbers mean other things to Linux and to userspace ASan.
func unikraftRedzone(code uint64) string {
	switch code {
	case 0xf1, 0xf2, 0xf3:
		return SubStackOverflow
	case 0xfa:
		return SubGlobalOverflow
	case 0xfb, 0xfd, 0xff:
		return SubUseAfterFree
	case 0xfc, 0xfe:
		return SubHeapOverflow
	case 1, 2, 3, 4, 5, 6, 7:
		return SubOutOfBounds
	}
	return ""
}
