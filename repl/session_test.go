package repl_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/repl"
)

// person is somebody at a session with a live guest.
type person struct {
	s   *ukdbg.Session
	r   *repl.REPL
	out *bytes.Buffer
	vm  *guesttest.VM
}

// sit opens a session on a new guest that serves.
func sit(t *testing.T, opt guesttest.Options, color bool) *person {
	t.Helper()
	return sitAfter(t, opt, color, "requests served")
}

// sitAfter opens a session on a new guest once its console says a text.
func sitAfter(t *testing.T, opt guesttest.Options, color bool, text string) *person {
	t.Helper()
	opt.GDB = "unix"
	vm := guesttest.Start(t, opt)
	deadline := time.Now().Add(2 * time.Minute)
	for !strings.Contains(vm.Console(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("the guest never says %q:\n%s", text, vm.Console())
		}
		time.Sleep(10 * time.Millisecond)
	}
	s, err := ukdbg.Open(context.Background(), ukdbg.Options{
		Target: vm.GDBAddr(), Image: vm.Debug, Timeout: 2 * time.Minute,
		SourceMap: []ukdbg.SourceMap{{From: images.SourcePrefix, To: guesttest.SourceRoot(t)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.Leave(context.Background()); err != nil {
			t.Error(err)
		}
	})
	p := &person{s: s, out: &bytes.Buffer{}, vm: vm}
	p.r = repl.New(s, repl.Options{In: repl.NewPipe(strings.NewReader("")), Out: p.out, Color: color})
	return p
}

// say runs one line, or several with those that "commands" reads, and returns
// what was printed.
func (p *person) say(t *testing.T, lines ...string) string {
	t.Helper()
	p.out.Reset()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p.r.SetInput(repl.NewPipe(strings.NewReader(strings.Join(lines[1:], "\n") + "\n")))
	// The error was printed; the expected text tells whether there should be one.
	if err := p.r.Execute(ctx, lines[0]); err != nil && p.out.Len() == 0 {
		t.Errorf("%s: failed silently: %v", lines[0], err)
	}
	return p.out.String()
}

// expect runs a line and compares all it prints with a pattern.
func (p *person) expect(t *testing.T, line, pattern string) string {
	t.Helper()
	out := p.say(t, strings.Split(line, "\n")...)
	if !regexp.MustCompile(`^(?s:` + pattern + `)$`).MatchString(out) {
		t.Errorf("%s\nwant %s\ngot:\n%s", line, pattern, out)
	}
	return out
}

type exchange struct{ line, pattern string }

func (p *person) talk(t *testing.T, name string, list []exchange) {
	t.Run(name, func(t *testing.T) {
		for _, x := range list {
			p.expect(t, x.line, x.pattern)
		}
	})
}

const (
	serve    = `serve \(s=0x[0-9a-f]+ <server>, r=0x[0-9a-f]+\) at /src/guest/app/server\.c:9[69]\n9[69]\t.*\n`
	switched = `(\[Switching to thread \d \(worker-\d\)\]\n)?`
)

// Every command, one guest of each architecture, in an order a person might go.
func TestCommands(t *testing.T) {
	for image, regs := range map[string][3]string{
		// The program counter, the first register, the last.
		"ukguest-x86_64": {"rip", "rax", "cr3"},
		"ukguest-arm64":  {"pc", "x0", "TCR_EL1"},
	} {
		t.Run(image, func(t *testing.T) { everyCommand(t, image, regs[0], regs[1], regs[2]) })
	}
}

func everyCommand(t *testing.T, image, pc, first, last string) {
	p := sit(t, guesttest.Options{Image: image, Append: "rate=400"}, false)
	p.talk(t, "looking", []exchange{
		{"threads", `   ID  NAME +STATE +CPU TIME +WHERE\n(.*\n)*.* worker-1 .*(.*\n)*.* acceptor .*\n`},
		{"thread disk", `\[Switching to thread 5 \(disk\)\]\n#0 .*\n.*\n`},
		{"thread", `\[Current thread is 5 \(disk\)\]\n`},
		{"t 2", `\[Switching to thread 2 \(worker-1\)\]\n#0 .*`},
		{"thread nobody", `no thread "nobody"; 'threads' lists them\n`},
		{"thread 99", `no thread 99; 'threads' lists them\n`},
		{"thread apply all backtrace 1", `(\nThread \d \([a-z0-9-]+\):\n#0 .*\n(\(More stack frames follow\.\.\.\)\n)?){7}`},
		{"bt all", `Thread .*main.*\nThread .*worker-3.*`},
		{"thread disk", `.*`},
		{"bt", `(#\d+ .* at /src/guest/\S+:\d+\n)+`},
		{"bt 1", `#0 .*\n\(More stack frames follow\.\.\.\)\n`},
		{"where 0", `\(More stack frames follow\.\.\.\)\n`},
		{"up", `#1 .*\n\d+\t.*\n`},
		{"down", `#0 .*\n\d+\t.*\n`},
		{"down", `bottom \(innermost\) frame selected; you cannot go down\n`},
		{"frame 1", `#1 .*\n\d+\t.*\n`},
		{"f 99", `no frame at level 99: there are \d+\n`},
		{"frame x", `"x" is no frame number\n`},
		{"up 50", `#\d+ .*disk_main.*\n(5[13]|23)\t.*\n`},
		{"up", `initial frame selected; you cannot go up\n`},
		{"info locals", `op = .*\n`},
		{"info args", `arg = .*\n`},
		{"i r " + pc, pc + ` +0x[0-9a-f]+ +0x[0-9a-f]+ <disk_main\+\d+>\n`},
		{"info registers nope", `no register nope\n`},
		{"info all-registers", first + ` .*\n` + last + ` +0x[0-9a-f]+\n.*`},
		{"info frame", `Stack level \d+, frame at 0x[0-9a-f]+:\n pc = 0x[0-9a-f]+ in disk_main disk\.c:(5[13]|23)\n found by .*`},
		{"info source", `Current source file is /src/guest/app/disk\.c\nLocated in .*/guest/app/disk\.c\n`},
		{"info threads", `.*worker-1.*`},
		{"info image", `file: .*identity: +image matches the guest.*kernel: +Unikraft.*`},
		{"info target", `target: +unix:.*CPUs: +1\nfound: +running\n.*`},
		{"info symbol serve", `serve in section \.text\n`},
		{"info symbol 0x1", `No symbol matches 0x1\.\n`},
		{"info line serve", `Line 9[69] of "/src/guest/app/server\.c" starts at address 0x[0-9a-f]+ <serve> and ends at 0x[0-9a-f]+ <serve\+\d+>\.\n`},
		{"info scope serve", `Symbol s has type struct server \*, length 8\.\nSymbol r has type struct request \*, length 8\.\n.*`},
		{"info scope", `info scope wants a place.*\n`},
		{"info nonsense", `nothing is known of "nonsense"; info alone lists the topics\n`},
		{"info", `info registers .*info display .*`},
		{"info d", `There are no auto-display expressions now\.\n`},
		{"info s", `.*`},
	})
	p.talk(t, "data", []exchange{
		{"print 6*7", `\$1 = 42\n`},
		{"p/x 255", `\$2 = 0xff\n`},
		{"p $1 + $2", `\$3 = 297\n`},
		{"p gallery.letter", `\$4 = 107 'k'\n`},
		{"p gallery.colour", `\$5 = BLUE\n`},
		{"p *gallery.list", `\$6 = \{next = 0x[0-9a-f]+ <second_node>, name = 0x[0-9a-f]+ "first", at = \{x = 1, y = 2\}\}\n`},
		{"p no_such", `No symbol "no_such" in current context\.\n`},
		{"p 1 +", `.+\n`},
		{"p/q 1", `format /q: want one of .*\n`},
		{"ptype struct point", `type = struct point \{\n    int x;\n    int y;\n\}\n`},
		{"whatis server", `type = struct server\n`},
		{"x/2dw &first_node.at", `0x[0-9a-f]+ <first_node\+16>:\t1\t2\n`},
		{"x/s gallery.text", `0x[0-9a-f]+ <gallery\+\d+>:\t"plain text"\n`},
		{"x/2i serve", `   0x[0-9a-f]+ <serve>:\t.*\n   0x[0-9a-f]+ <serve\+\d+>:\t.*\n`},
		{"x/4xb 0xffff800000000000", `.*0xffff800000000000.*\n`},
		{"list serve", `9[14]\t.*\n(.*\n)*96\t\{\n(.*\n)*`},
		{"list", `10[14]\t.*\n(.*\n)*`},
		{"list -", `[89]\d\t.*\n(.*\n)*`},
		{"list disk.c:37", `3\d\t.*\n(.*\n)*37\t.*\n(.*\n)*`},
		{"list nowhere", `.*nowhere.*\n`},
		{"disassemble checksum", `Dump of assembler code for function checksum:\n   0x[0-9a-f]+ <\+0>:\t.*\n(.*\n)*End of assembler dump\.\n`},
		{"disas/rs hash_path", `Dump .*\twhile \(\*path\)\n.*<\+0>:\t([0-9a-f]{2} ?)+\t.*`},
		{"find &gallery, +sizeof(gallery), \"plain\"", `0x[0-9a-f]+ <gallery\+\d+>\n1 pattern found\.\n`},
		{"find &gallery, +16, \"absent\"", `Pattern not found\.\n`},
		{"find 1", `find wants a start.*\n`},
		{"find 1, +0, 1", `find searches 1 to .*\n`},
		{"display/x gallery.byte", `1: /x gallery\.byte = 0xc8\n`},
		{"display gallery.s16", `2: gallery\.s16 = -300\n`},
		{"display", `1: .*\n2: .*\n`},
		{"info display", `1:\t/x gallery\.byte\n2:\tgallery\.s16\n`},
		{"undisplay 1", ``},
		{"undisplay 7", `no display 7\n`},
		{"undisplay", ``},
		{"set var gallery.nested.a = 99", ``},
		{"p gallery.nested.a", `\$\d+ = 99\n`},
		{"set gallery.nested.a = 1", ``},
		{"p gallery.nested.a", `\$\d+ = 1\n`},
		{"set", `set what\?.*\n`},
	})
	p.talk(t, "running", []exchange{
		{"tbreak serve", `Temporary breakpoint 1 at 0x[0-9a-f]+: file /src/guest/app/server\.c, line 9[69], in serve\.\n`},
		{"continue", `Continuing\.\n` + switched + `\nTemporary breakpoint 1, ` + serve},
		{"info breakpoints", `No breakpoints or watchpoints\.\n`},
		{"finish", `Run till exit from #0  serve .*\n.*worker_main .*Value returned is \$\d+ = (0|-\d+)\n`},
		{"next", `.*worker_main .*\n12\d\t.*\n`},
		{"stepi", `.*\n`},
		{"x/i $pc", `=> 0x[0-9a-f]+ <\w+(\+\d+)?>:\t.*\n`},
		{"nexti", `.*\n`},
		{"step", `.*\n`},
		{"b serve if r->id > 3", `Breakpoint 2 at .*\n`},
		{"ignore 2 2", `Will ignore next 2 crossings of breakpoint 2\.\n`},
		{"commands\nsilently wrong\nend", ``},
		{"commands 2\nprint r->id > 3\nend", ``},
		{"info b", `Num  Type           Disp Enb Where\n2    breakpoint     keep y   0x[0-9a-f]+: file .*\n\tstop only if r->id > 3\n\tignore next 2 hits\n\tprint r->id > 3\n`},
		{"c", `Continuing\.\n` + switched + `\nBreakpoint 2, ` + serve + `\$\d+ = 1\n`},
		{"info b", `.*already hit 3 times\n.*`},
		{"commands 2\nend", ``},
		{"condition 2", `Breakpoint 2 now unconditional\.\n`},
		{"condition 2 1 +", `.+\n`},
		{"condition 9 1", `no breakpoint number 9\n`},
		{"ignore 2", `ignore wants a breakpoint number and a count\n`},
		{"c 3", `Will ignore next 2 crossings of breakpoint 2\.  Continuing\.\n` + switched + `\nBreakpoint 2, ` + serve},
		{"disable 2", ``},
		{"info b", `.*keep n   0x.*`},
		{"watch server.stats.served", `Hardware watchpoint 3: server\.stats\.served \(8 bytes at 0x[0-9a-f]+\)\n`},
		{"c", `Continuing\.\n` + switched + `\nHardware watchpoint 3: server\.stats\.served\n\nOld value = \d+\nNew value = \d+\n.*serve .*`},
		{"delete 3", ``},
		{"rwatch server.stats.served", `Hardware read watchpoint 4: .*\n`},
		{"c", `Continuing\.\n.*Hardware (access \(read/write\)|read) watchpoint 4: server\.stats\.served\n\n(Value|Old value) = \d+\n.*`},
		{"delete 4", ``},
		{"awatch server.stats.accepted", `Hardware access \(read/write\) watchpoint 5: .*\n`},
		{"c", `Continuing\.\n.*Hardware access \(read/write\) watchpoint 5: server\.stats\.accepted\n\n.*accept_one.*`},
		{"delete 5", ``},
		{"watch server", `server has \d+ bytes; hardware watches 1 to 8\n`},
		{"watch 5", `.*not in memory.*\n`},
		{"hbreak checksum", `Hardware breakpoint 6 at .*\n`},
		{"c", `Continuing\.\n.*\nBreakpoint 6, checksum \(p=0x.*`},
		{"until", `.*\n`},
		{"delete", ``},
		{"info b", `No breakpoints or watchpoints\.\n`},
		{"b serve thread worker-1", `Breakpoint 7 at .*\n`},
		{"c", `Continuing\.\n(\[Switching to thread 2 \(worker-1\)\]\n)?\nBreakpoint 7, ` + serve},
		{"until server.c:103", `.*serve .*\n10\d\t.*|.*worker_main.*`},
		{"info b", `.*stop only in thread 2\n.*`},
		{"d 7", ``},
		{"enable 7", `no breakpoint number 7\n`},
		{"enable", ``},
		{"break no_such_function", `.*no_such_function.*\n`},
		{"break server.c:99999", `.*99999.*\n`},
		{"break serve if 1 +", `.+\n`},
		{"continue x", `"x" is no count\n`},
		{"commands", `no breakpoints\n`},
	})
	p.talk(t, "the kernel", []exchange{
		{"heap", `ALLOCATOR +ADDRESS +TOTAL +USED +FREE +LARGEST BLOCK +FRAGMENTED\nbuddy +0x[0-9a-f]+ .*MiB +[0-9.]+%\n`},
		{"trace 3", `( +\d+\.\d{6}  .*\n){3}\d+ records in .*\n`},
		{"trace summary", ` +NAME +COUNT .*request_serve .*`},
		{"trace many", `"many" is no number of records\n`},
		{"dmesg", `.*Powered by ukguest Calypso .*requests served\n`},
		{"fault", `the machine shows no fault: .*\n`},
		{"profile 0.2 50", `sampling for 0\.2 s at 50 Hz, \^C ends it\n\d+ samples in .* guest stopped .*`},
		{"profile much", `profile wants SECONDS and HZ, not "much"\n`},
		{"monitor info status", `VM status: paused.*\n`},
		{"help", `session\n  help .*Tab completes.*`},
		{"help br", `break \[LOCATION\].*\n    stop at a place\n    short: b, br, brea\n`},
		{"help nothing", `no command "nothing"; try help\n`},
		{"juggle", `no command "juggle"; try help\n`},
		{"w", `"w" is ambiguous: watch, whatis\n`},
		{"th", `"th" is ambiguous: thread, threads\n`},
		{"source /no/such/file", `.*no such file.*\n`},
		{"source", `source wants a file\n`},
		{"# a comment", ``},
	})
	p.talk(t, "leaving", []exchange{
		{"detach", `guest resumed · stopped .*\n`},
		{"detach", `already detached\n`},
		{"bt", `no guest: .*\n`},
		{"threads", `no guest: .*\n`},
		{"continue", `no guest: .*\n`},
		{"heap", `no guest: .*\n`},
		{"monitor info status", `no guest: .*\n`},
	})
	if !p.vm.Running(t) {
		t.Error("the guest does not run after detach")
	}
}
