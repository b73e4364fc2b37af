package asserts

import "bytes"

// regName describes one register as a report may print it.
type regName struct {
	printed string // lower case
	name    string // gdb's
	digits  int    // how many hex digits a whole value has
}

// x86Names are the names in Unikraft's trace.c and dumpsup.c, and in the dumps of
// Linux, OSv, Nanos and Xen.
var x86Names = []regName{
	{"rip", "rip", 16}, {"cs", "cs", 4}, {"rsp", "rsp", 16}, {"ss", "ss", 4}, {"eflags", "eflags", 8},
	{"orig_rax", "orig_rax", 16}, {"rfl", "eflags", 8}, {"rflags", "eflags", 8},
	{"cr0", "cr0", 16}, {"cr2", "cr2", 16}, {"cr3", "cr3", 16}, {"cr4", "cr4", 16}, {"r8", "r8", 16}, {"r9", "r9", 16},
	{"rax", "rax", 16}, {"rbx", "rbx", 16}, {"rcx", "rcx", 16}, {"rdx", "rdx", 16}, {"rsi", "rsi", 16},
	{"rdi", "rdi", 16}, {"rbp", "rbp", 16}, {"r08", "r8", 16}, {"r09", "r9", 16}, {"r10", "r10", 16},
	{"r11", "r11", 16}, {"r12", "r12", 16}, {"r13", "r13", 16}, {"r14", "r14", 16}, {"r15", "r15", 16},
}

// x86Registers takes the "NAME: value" pairs in b into f, wherever they stand,
// and returns how many it found. "RIP: 0008:0000…" gives cs and rip.
func x86Registers(f *Fault, b []byte) (found int) {
	for len(b) > 0 {
		colon := bytes.IndexByte(b, ':')
		if colon < 0 {
			return found
		}
		name := lastWord(b[:colon])
		b = bytes.TrimLeft(b[colon+1:], " ")
		r, ok := lookupReg(x86Names, name)
		if !ok {
			continue
		}
		digits, n := hexDigits(b)
		if n == 0 {
			continue
		}
		if n <= 4 && len(b) > n+1 && b[n] == ':' && isHex(b[n+1]) {
			segment := "cs"
			if r.name == "rsp" {
				segment = "ss"
			}
			f.setReg(cutValue(regName{name: segment, digits: 4}, digits))
			b = b[n+1:]
			digits, n = hexDigits(b)
		}
		f.setReg(cutValue(r, digits))
		found++
		b = b[n:]
	}
	return found
}

// cutValue makes a register of printed digits: fewer than the format prints
// mean that the log lost some, and the value is unknown. Some systems print every
// register with 16.
func cutValue(r regName, digits []byte) Register {
	if len(digits) != r.digits && len(digits) != 16 {
		return Register{Name: r.name, Text: string(digits[:min(len(digits), 16)])}
	}
	v, _ := hexValue(digits)
	return Register{Name: r.name, Value: Value(v)}
}

// hexDigits returns the run of hex digits b starts with, without a 0x.
func hexDigits(b []byte) (digits []byte, n int) {
	if len(b) > 2 && b[0] == '0' && b[1] == 'x' {
		n = 2
	}
	from := n
	for n < len(b) && isHex(b[n]) {
		n++
	}
	if n == from {
		return nil, 0
	}
	return b[from:n], n
}

// lastWord returns the letters, digits and underscores b ends with.
func lastWord(b []byte) []byte {
	b = bytes.TrimRight(b, " ")
	i := len(b)
	for i > 0 && (b[i-1] == '_' || b[i-1] >= '0' && b[i-1] <= '9' || b[i-1]|0x20 >= 'a' && b[i-1]|0x20 <= 'z') {
		i--
	}
	return b[i:]
}

func lookupReg(names []regName, printed []byte) (regName, bool) {
	if len(printed) > 8 {
		return regName{}, false
	}
	for _, r := range names {
		if len(r.printed) == len(printed) && bytes.EqualFold([]byte(r.printed), printed) {
			return r, true
		}
	}
	return regName{}, false
}
