// Package santest boots the guest's sanitizer and hardening images, commits each
// fault and checks the report: the words, the trap behind them, the thread and
// the functions on its stack.
package santest

import (
	"debug/elf"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

const patience = 30 * time.Second

// fault is one way to die.
type fault struct {
	variant string // of the image
	kind    string // fault=KIND
	flavour string // san=FLAVOUR
	arch    string // only there; empty is both
	report  []string
	// Where the generation C screen's call trace leads, in this order; other functions may lie between.
	frames []string
	// What tells the trap: the bytes at the pc on x86_64, a pattern of ESR_EL1 on arm64.
	code []byte
	esr  string
}

const (
	ud2  = "\x0f\x0b"
	udf  = "0x0000000002000000" // what UK_CRASH executes
	here = `<worker-2> `
)

// kasan is the six-line report, cut as Unikraft cuts it: at 191 bytes.
func kasan(access, code string) []string {
	l := here + `.*\[libkasan\] <kasan\.c @ +\d+> `
	return []string{
		l + `={11}KernelAddressSanitizer={11}$`, l + `ERROR:$`, l + `\* invalid access to address 0x[0-9a-f]+$`,
		l + `\* ` + access + ` of size 1$`, l + `\* redzone code ` + code + `$`, l + `={44}$`,
	}
}

func ubsan(text string) string {
	return here + `.*ERR: |` + here + `.*\[libubsan\] <ubsan\.c @ +\d+> Undefined behavior at \S+fault_ubsan\.c:\d+:\d+: ` + text + `$`
}

var faults = []fault{
	{
		variant: "ssp", kind: "smash",
		report: []string{here + `.*\[libuksp\] <ssp\.c @ +\d+> Stack smashing detected\. SP 0x[0-9a-f]+$`},
		frames: []string{"header_parse", "request_headers", "fault_smash"}, code: []byte(ud2), esr: udf,
	},
	{
		variant: "ssp", kind: "smash", flavour: "deep",
		report: []string{`Stack smashing detected`, `Bad frame pointer`},
		frames: []string{"header_parse"}, code: []byte(ud2), esr: udf,
	},
	{
		variant: "kasan", kind: "kasan", report: kasan("write", `0xfe \(buffer-overflow\)`),
		frames: []string{"reply_fill", "reply_overrun", "request_reply", "fault_kasan"}, code: []byte(ud2), esr: udf,
	},
	{
		variant: "kasan", kind: "kasan", flavour: "uaf", report: kasan("read", `0xff \(use-after-free\)`),
		frames: []string{"reply_send", "reply_freed", "request_reply", "fault_kasan"}, code: []byte(ud2), esr: udf,
	},
	{
		variant: "kasan", kind: "kasan", flavour: "partial", report: kasan("write", `0x5 \(partial redzone\)`),
		frames: []string{"reply_fill", "reply_overrun", "request_reply", "fault_kasan"}, code: []byte(ud2), esr: udf,
	},
	{
		variant: "ubsan", kind: "ubsan",
		report: []string{
			ubsan(`shift of 1 by 33 out of bounds for type 'int'`),
			ubsan(`signed integer overflow: 2147483647 \+ 3 cannot be represented in type 'int'`),
			ubsan(`index 9 out of bounds for type 'int \[4\]'`),
			ubsan(`load from address 0x[0-9a-f]+ with insufficient space for an object of type 'int'`),
			ubsan(`store to null pointer of type 'volatile int'`),
			`Cannot handle write page fault at 0x0 `,
		},
		frames: []string{"request_account", "request_body", "fault_ubsan"}, esr: `0x00000000960000\S+`,
	},
	{
		variant: "cfi", kind: "cfi",
		report: []string{here + `.*CFI failure at 0x[0-9a-f]+ \(target: 0x[0-9a-f]+; expected type: 0x[0-9a-f]{8}\)$`},
		frames: []string{"request_call", "request_dispatch", "fault_cfi"}, code: []byte(ud2), esr: `0x00000000f20082\S\S`,
	},
	{
		variant: "cfi", kind: "cfi", flavour: "icall",
		frames: []string{"command_run", "fault_icall"}, code: []byte("\x67\x0f\xb9\x40\x02"), esr: "0x00000000f2005502",
	},
	{
		variant: "cfi", kind: "ubsan",
		frames: []string{"body_size", "request_body", "fault_ubsan"}, code: []byte("\x67\x0f\xb9\x00"), esr: "0x00000000f2005500",
	},
	{
		kind: "pkey", arch: "x86_64", report: pkey("WRITE", 2, "0000000000000008"),
		frames: []string{"vault_store", "request_keys", "fault_pkey"}, code: []byte{},
	},
	{
		kind: "pkey", flavour: "read", arch: "x86_64", report: pkey("READ", 0, "0000000000000004"),
		frames: []string{"vault_load", "request_keys", "fault_pkey"}, code: []byte{},
	},
}

// pkey is FlexOS's report. The error code says: present, protection key, and w for a write.
func pkey(access string, w int, pkru string) []string {
	return []string{
		fmt.Sprintf(here+`.*Page fault at linear address [0-9a-f]+, rip [0-9a-f]+, regs 0x[0-9a-f]+, sp [0-9a-f]+, our_sp 0x[0-9a-f]+, code %x$`, 0x21|w),
		`PF_PK: protection key block access \(` + access + `\)$`,
		`Target page 0x[0-9a-f]+ \(section \.data\) had key 1$`,
		`RIP: [0-9a-f]{16} CS: 0008$`,
		`PKU: ` + pkru + `$`,
	}
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		for _, arch := range []string{"x86_64", "arm64"} {
			if f.arch != "" && f.arch != arch {
				continue
			}
			name := strings.TrimSuffix(f.kind+"-"+f.flavour, "-")
			if f.variant != "" {
				name = f.variant + "/" + name
			}
			t.Run(arch+"/"+name, func(t *testing.T) { testFault(t, f, arch) })
		}
	}
}

func testFault(t *testing.T, f fault, arch string) {
	image := strings.TrimSuffix("ukguest-"+arch+"-"+f.variant, "-")
	vm := guesttest.Start(t, guesttest.Options{Image: image, Append: f.append("c,exit")})
	status := vm.WaitExit(t, patience)
	if want := map[string]int{"x86_64": 3, "arm64": 0}[arch]; status != want {
		t.Errorf("QEMU's exit status is %d, want %d", status, want)
	}
	screen := strings.ReplaceAll(vm.Console(), "\r\n", "\n")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(screen)
		}
	})
	rest := screen
	for _, want := range append(slices.Clone(f.report), `Thread "worker-2"@`, `Unikraft halted`) {
		if strings.HasPrefix(want, "Bad frame") {
			continue // it is behind the screen's head
		}
		at := regexp.MustCompile("(?m)" + want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("the report has no %q (in that order)", want)
		}
		rest = rest[at[1]:]
	}
	img := openImage(t, vm.Debug)
	trace := img.callTrace(t, screen)
	left := f.frames
	for _, name := range trace {
		if len(left) > 0 && name == left[0] {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("the call trace is %v, want %v in that order", trace, f.frames)
	}
	if slices.Contains(f.report, "Bad frame pointer") != strings.Contains(screen, "Bad frame pointer") {
		t.Error("the frame chain is not as expected")
	}

	switch arch {
	case "x86_64":
		pc := number(t, screen, `rip: 0008:([0-9a-f]{16})`)
		if got := img.bytes(t, pc, len(f.code)); string(got) != string(f.code) {
			t.Errorf("at the pc are the bytes %x, want %x", got, f.code)
		}
	case "arm64":
		if !regexp.MustCompile(`ESR_EL1: ` + f.esr).MatchString(screen) {
			t.Errorf("ESR_EL1 is not %s", f.esr)
		}
	}
}

func (f fault) append(crash string) string {
	s := "fault=" + f.kind + " after=3 crash=" + crash
	if f.flavour != "" {
		s += " san=" + f.flavour
	}
	return s
}

// Generation A: an explicit crash is words only, a trap tells its registers.
func TestGenerationA(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		trap := map[string]string{"x86_64": "Unhandled Trap 6 (invalid opcode)", "arm64": "ESR_EL1  : 0x00000000f20082"}[arch]
		for _, c := range []struct{ variant, kind, text, trap string }{
			{"ssp", "smash", "Stack smashing detected. SP 0x", ""},
			{"kasan", "kasan", "* redzone code 0xfe (buffer-overflow)", ""},
			{"cfi", "cfi", "CFI failure at 0x", trap},
		} {
			t.Run(arch+"/"+c.variant, func(t *testing.T) {
				vm := guesttest.Start(t, guesttest.Options{
					Image: "ukguest-" + arch + "-" + c.variant, Append: "crash=exit after=3 fault=" + c.kind,
				})
				vm.WaitExit(t, patience)
				text := vm.Console()
				if !strings.Contains(text, c.text) || !strings.Contains(text, c.trap) || !strings.Contains(text, "Unikraft halted") {
					t.Errorf("the report lacks %q, %q or the end:\n%s", c.text, c.trap, text)
				}
				if c.trap == "" && strings.Contains(text, "Registers") {
					t.Errorf("an explicit crash of generation A tells registers:\n%s", text)
				}
			})
		}
	}
}

// Without crash=exit the guest stays, halted, for a debugger to look at.
func TestHalts(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64-ssp", "ukguest-arm64-ssp"} {
		vm := guesttest.Start(t, guesttest.Options{Image: image, Append: "fault=smash after=3"})
		vm.WaitConsole(t, "Unikraft halted", patience)
		before := vm.Console()
		time.Sleep(1500 * time.Millisecond) // main reports every second
		if more := strings.TrimSpace(strings.TrimPrefix(vm.Console(), before)); more != "" {
			t.Errorf("%s prints after its end: %q", image, more)
		}
		if !vm.Running(t) {
			t.Errorf("%s: the VM is gone", image)
		}
	}
}

// A fault that cannot be committed says why, and the guest goes on.
func TestNotHere(t *testing.T) {
	for _, c := range []struct{ image, cpu, kind, text string }{
		{"ukguest-x86_64", "qemu64", "pkey", "this CPU has no protection keys (CPUID.7.0:ECX.PKU is 0); with QEMU use -cpu max"},
		{"ukguest-arm64", "", "pkey", "fault=pkey: this image does not have it"},
		{"ukguest-x86_64", "", "kasan", "fault=kasan: this image does not have it"},
		{"ukguest-arm64-ssp", "", "cfi", "fault=cfi: this image does not have it"},
	} {
		t.Run(c.image+"/"+c.kind, func(t *testing.T) {
			vm := guesttest.Start(t, guesttest.Options{Image: c.image, CPU: c.cpu, Append: "after=3 fault=" + c.kind})
			vm.WaitConsole(t, c.text, patience)
			vm.WaitConsole(t, "ukguest: up ", patience)
			if strings.Contains(vm.Console(), "halted") {
				t.Errorf("the guest died:\n%s", vm.Console())
			}
		})
	}
}

// Each image serves requests as the plain one does, and reports nothing.
func TestNoFalseAlarm(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		for _, variant := range []string{"ssp", "kasan", "ubsan", "cfi"} {
			t.Run(arch+"/"+variant, func(t *testing.T) {
				t.Parallel() // it mostly waits
				vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-" + arch + "-" + variant, SMP: 2})
				for end := time.Now().Add(patience); strings.Count(vm.Console(), " requests served") < 3; {
					if time.Now().After(end) {
						t.Fatalf("it does not serve:\n%s", vm.Console())
					}
					time.Sleep(50 * time.Millisecond)
				}
				for _, bad := range []string{"CRIT", "ERR:", "Undefined behavior", "halted"} {
					if strings.Contains(vm.Console(), bad) {
						t.Errorf("it says %q:\n%s", bad, vm.Console())
					}
				}
			})
		}
	}
}

// The symbols that debuggers look for are those of Unikraft.
func TestSymbols(t *testing.T) {
	for image, names := range map[string][]string{
		"ssp": {"__stack_chk_guard", "__stack_chk_fail"}, "kasan": {"shadow_mem_base", "kasan_ready"},
	} {
		for _, arch := range []string{"x86_64", "arm64"} {
			vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-" + arch + "-" + image, Paused: true})
			img := openImage(t, vm.Debug)
			for _, name := range names {
				i := slices.IndexFunc(img.symbols, func(s elf.Symbol) bool { return s.Name == name })
				if i < 0 {
					t.Errorf("%s has no symbol %s", vm.Image.Name, name)
					continue
				}
				if name == "__stack_chk_guard" {
					if got := string(img.bytes(t, img.symbols[i].Value, 8)); got != "\x00\x0d\x0a\xff\x00\x00\x00\x00" {
						t.Errorf("%s: the canary is %x", vm.Image.Name, got)
					}
				}
			}
		}
	}
}

// image is an ELF file with its symbols.
type image struct {
	*elf.File
	symbols []elf.Symbol
}

func openImage(t *testing.T, path string) image {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	return image{f, symbols}
}

// function is the name of the function at an address.
func (i image) function(addr uint64) string {
	for _, s := range i.symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && addr >= s.Value && addr < s.Value+s.Size {
			return s.Name
		}
	}
	return fmt.Sprintf("%#x", addr)
}

// callTrace is the screen's call trace by names.
func (i image) callTrace(t *testing.T, screen string) []string {
	t.Helper()
	_, trace, ok := strings.Cut(screen, "Call Trace:\n")
	if !ok {
		t.Fatal("the screen has no call trace")
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)CRIT:  \[0x([0-9a-f]{16})\]$`).FindAllStringSubmatch(trace, -1) {
		addr, err := strconv.ParseUint(m[1], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		name := i.function(addr)
		if i.Machine == elf.EM_AARCH64 && strings.HasPrefix(name, "0x") {
			name = i.function(addr - 4) // returns behind the end of a function that calls one that never does
		}
		name, _, _ = strings.Cut(name, ".") // GCC's .constprop.0
		names = append(names, name)
	}
	return names
}

// bytes of the image at a link-time address.
func (i image) bytes(t *testing.T, addr uint64, n int) []byte {
	t.Helper()
	for _, s := range i.Sections {
		if s.Type == elf.SHT_PROGBITS && s.Flags&elf.SHF_ALLOC != 0 && addr >= s.Addr && addr+uint64(n) <= s.Addr+s.Size {
			b := make([]byte, n)
			if _, err := s.ReadAt(b, int64(addr-s.Addr)); err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("the image has no bytes at %#x", addr)
	return nil
}

func number(t *testing.T, text, pattern string) uint64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %q on the screen", pattern)
	}
	n, err := strconv.ParseUint(m[1], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
