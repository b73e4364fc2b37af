package images_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// patience bounds one wait on a loaded machine.
const patience = 60 * time.Second

// Every image boots, serves, says what it did and powers off.
func TestServes(t *testing.T) {
	for _, name := range images.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := guesttest.Start(t, guesttest.Options{Image: name, Append: "exit=20"})
			status, want := vm.WaitExit(t, patience), 0
			if vm.Image.Arch == "x86_64" {
				want = 1 // isa-debug-exit makes 2n+1 of the guest's n
			}
			if status != want {
				t.Errorf("QEMU ended with %d, want %d", status, want)
			}
			mustMatch(t, vm.Console(), `Powered by ukguest Calypso`, `1 CPU, [1-9]\d* KiB heap`,
				`ukguest: 2[0-9] requests served, \d+ failed, [1-9]\d* trace records written`)
		})
	}
}

// A fault's report, as the generations A of the two architectures print it.
var faultReports = []struct {
	kind   string
	x86    []string
	arm    []string
	append string
}{
	{kind: "assert", x86: []string{`CRIT: <worker-2> \{r:0x[0-9a-f]+,f:0x[0-9a-f]+\} \[appserver\] <faults\.c @ +\d+> Assertion failure: r->state == REQ_DONE && "request must be done"`}},
	{kind: "crash", x86: []string{`CRIT: <worker-2> .*Out of luck in request \d+`}},
	{kind: "null",
		x86: []string{`\[libukvmem\] <pagefault\.c @ +\d+> Cannot handle read page fault at 0x0 \(ec: 0x0\): Bad address \(14\)\.`, `RIP: [0-9a-f]{16} CS: 0008`, `base is 0x[0-9a-f]+ caller is 0x[0-9a-f]+`, `Crashing`},
		arm: []string{`Cannot handle read page fault at 0x0 \(ec: 0x9600000[4-7]\)`, `EL1 sync trap caught`, `\t FAR_EL1  : 0x0000000000000000`, `\t x28 ~ x29: 0x`}},
	{kind: "null", append: "vmem=off",
		x86: []string{`<worker-2> \{[^}]*\} \[libkvmplat\] <crash\.c @ +\d+> RIP:`},
		arm: []string{`EL1 sync trap caught`}},
	{kind: "pf",
		x86: []string{`Cannot handle read page fault at 0x7fff12340004 \(ec: 0x0\)`},
		arm: []string{`Cannot handle read page fault at 0x7fff12340004 `}},
	{kind: "pfw",
		x86: []string{`Cannot handle write page fault at 0x[0-9a-f]+ \(ec: 0x3\)`},
		arm: []string{`Cannot handle write page fault at 0x[0-9a-f]+ \(ec: 0x9600004f\)`}},
	{kind: "jump",
		x86: []string{`Cannot handle exec page fault at 0x6b6b6b6b6b68 \(ec: 0x10\)`, `RIP: 00006b6b6b6b6b68`},
		arm: []string{`Cannot handle exec page fault at 0x6b6b6b6b6b68 `, `ELR_EL1  : 0x00006b6b6b6b6b68`}},
	{kind: "gp",
		x86: []string{`Unhandled Trap 13 \(general protection\), error code=0`, `Regs address 0x`},
		arm: []string{`Cannot handle read page fault at 0x[0-9a-f]*dead4ead00000000 `}},
	{kind: "ud",
		x86: []string{`Unhandled Trap 6 \(invalid opcode\), error code=0`},
		arm: []string{`ESR_EL1  : 0x0000000002000000`}},
	{kind: "div", x86: []string{`Unhandled Trap 0 \(divide error\), error code=0`}, arm: []string{`fault=div: this image does not have it`}},
	{kind: "brk",
		x86: []string{`Unhandled Trap 3 \(int3\), error code=0`},
		arm: []string{`ESR_EL1  : 0x00000000f2000001`}},
	{kind: "overflow",
		x86: []string{`Guard page 0x[0-9a-f]+000 of stack VMA 0x[0-9a-f]+000 - 0x[0-9a-f]+000 hit!`, `Cannot handle write page fault`},
		arm: []string{`Guard page 0x[0-9a-f]+000 of stack VMA`, `EL1 sync trap caught`}},
}

func TestFaults(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		for _, f := range faultReports {
			t.Run(strings.TrimPrefix(image, "ukguest-")+"/"+strings.TrimSpace(f.kind+" "+f.append), func(t *testing.T) {
				t.Parallel()
				vm := guesttest.Start(t, guesttest.Options{Image: image, Append: "fault=" + f.kind + " after=15 crash=exit " + f.append})
				want := f.x86
				if vm.Image.Arch == "arm64" && f.arm != nil {
					want = f.arm
				}
				if strings.Contains(want[0], "does not have it") {
					vm.WaitConsole(t, "does not have it", patience)
				} else {
					vm.WaitExit(t, patience)
					want = append([]string{`ukguest: \d+ requests served`, `<worker-2> .*Unikraft halted`}, want...)
				}
				mustMatch(t, vm.Console(), want...)
				if f.append == "vmem=off" && strings.Contains(vm.Console(), "Cannot handle") {
					t.Error("vmem=off prints the fault's address")
				}
			})
		}
	}
}

func TestCrashScreenC(t *testing.T) {
	want := map[string][]string{
		"ukguest-x86_64": {`(?m)^\[ *\d+\.\d{6}\] CRIT:  rip: 0008:[0-9a-f]{16}\r$`, `orig_rax: 0000000000000000`, `rcx:[0-9a-f]{16}`},
		"ukguest-arm64":  {`X0 : [0-9a-f]{16} X1 : [0-9a-f]{16}`, `ESR_EL1: 0x`, `PSTATE:  0x`},
	}
	for image, lines := range want {
		for _, kind := range []string{"null", "assert"} {
			t.Run(strings.TrimPrefix(image, "ukguest-")+"/"+kind, func(t *testing.T) {
				t.Parallel()
				vm := guesttest.Start(t, guesttest.Options{Image: image, Append: "after=15 crash=c,exit fault=" + kind})
				vm.WaitExit(t, patience)
				mustMatch(t, vm.Console(), lines...)
				mustMatch(t, vm.Console(), `CRIT: Unikraft Crash - Calypso \(0\.17\.0~ukguest\)`, `CRIT: Thread "worker-2"@0x[0-9a-f]+`,
					`CRIT: Stack:`, `CRIT:  [0-9a-f]{8}  [0-9a-f]{2}( [0-9a-f]{2}){7}  \|.{8}\|`, `CRIT: Call Trace:`, `CRIT:  \[0x[0-9a-f]{16}\]`)
				if kind == "assert" {
					mustMatch(t, vm.Console(), `Assertion failure: r->state == REQ_DONE`)
				}
			})
		}
	}
}

func TestSecondCPU(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64", "ukguest-arm64-pie"} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			vm := guesttest.Start(t, guesttest.Options{Image: image, SMP: 2})
			mustMatch(t, vm.WaitConsole(t, "cpu1-worker did", patience), `2 CPU, `)
			mustMatch(t, vm.WaitConsole(t, "rounds", patience), `cpu1-worker did [1-9]\d* rounds`)
		})
	}
}

func TestTraceBuffer(t *testing.T) {
	for _, c := range []struct{ image, append, want string }{
		{"ukguest-x86_64-smalltrace", "", `[1-9]\d* trace records written, [1-9]\d* dropped`},
		{"ukguest-arm64-smalltrace", "", `[1-9]\d* trace records written, [1-9]\d* dropped`},
		{"ukguest-x86_64", "", `[1-9]\d* trace records written, 0 dropped`},
		{"ukguest-x86_64", "trace=off", ` 0 trace records written, 0 dropped`},
	} {
		t.Run(strings.TrimSpace(c.image+" "+c.append), func(t *testing.T) {
			t.Parallel()
			vm := guesttest.Start(t, guesttest.Options{Image: c.image, Append: "exit=40 " + c.append})
			vm.WaitExit(t, patience)
			mustMatch(t, vm.Console(), c.want)
		})
	}
}

func TestConsoleColours(t *testing.T) {
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", Append: "ansi fault=crash after=1 crash=exit"})
	vm.WaitExit(t, patience)
	if want := "\x1b[1m\x1b[37m\x1b[41mCRIT:\x1b[0m"; !strings.Contains(vm.Console(), want) {
		t.Errorf("the console has no %q:\n%q", want, vm.Console())
	}
}

// Under KVM where this machine has it. Slow on a KVM that emulates: most of the time goes into the firmware.
func TestKVM(t *testing.T) {
	guesttest.NeedKVM(t)
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", Accel: "kvm", Append: "exit=5"})
	vm.WaitExit(t, 2*patience)
	mustMatch(t, vm.Console(), `[5-9] requests served`)
}

func mustMatch(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(text) {
			t.Errorf("the console does not match %s", p)
		}
	}
	if t.Failed() {
		t.Logf("console:\n%s", text)
	}
}
