package ukdbg

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/internal/stoppedtest"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
	"github.com/ukdbg/ukdbg/symbolizer/loaded"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// askGDB prints registers, frames and, for each, answers to commands, as JSON.
const askGDB = `
import gdb, json
gdb.execute("set backtrace past-main on")
gdb.execute("set backtrace past-entry on")
regs = {n: int(gdb.parse_and_eval("(unsigned long)$" + n)) for n in "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()}
frames = []
f = gdb.newest_frame()
while f is not None:
    frames.append({"pc": f.pc(), "name": f.name() or "", "line": f.find_sal().line})
    f = f.older()
answers = []
for level in range(len(frames)):
    gdb.execute("frame %d" % level, to_string=True)
    mine = []
    for c in COMMANDS:
        try:
            mine.append(gdb.execute(c, to_string=True))
        except gdb.error as e:
            mine.append(str(e))
    answers.append(mine)
print("@" + json.dumps({"regs": regs, "frames": frames, "answers": answers}))
`

type gdbSees struct {
	Regs   map[string]uint64
	Frames []struct {
		PC   uint64
		Name string
		Line int
	}
	Answers [][]string
}

func lookWithGDB(t *testing.T, pid int, commands []string) gdbSees {
	t.Helper()
	list, err := json.Marshal(commands)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "ask.py")
	if err := os.WriteFile(script, []byte(strings.ReplaceAll(askGDB, "COMMANDS", string(list))), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("gdb-multiarch", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p", fmt.Sprint(pid), "-x", script).CombinedOutput()
	_, text, ok := strings.Cut(string(out), "\n@")
	var sees gdbSees
	if err != nil || !ok {
		t.Fatalf("gdb-multiarch (make tools installs it): %v\n%s", err, out)
	}
	text, _, _ = strings.Cut(text, "\n")
	if err := json.Unmarshal([]byte(text), &sees); err != nil {
		t.Fatal(err)
	}
	return sees
}

// besideKernel is a session whose kernel is the program and which is given the
// rest as images the guest loaded.
func besideKernel(t *testing.T, p *stoppedtest.Process, opt Options) *Session {
	t.Helper()
	ctx := context.Background()
	app := filepath.Join(p.Dir, "app")
	im, err := symbolizer.Open(app)
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{opt: opt, epoch: 1, stacks: map[threadKey]stack{}, arch: arch.X86_64, image: im, mem: newCache(p)}
	s.mapping = symbolizer.Mapping{Image: im, Slide: p.First(t, "app")}
	if s.types, err = ctype.New(im); err != nil {
		t.Fatal(err)
	}
	s.loads.files = s.newFiles()
	objects, notes, err := loaded.Find(ctx, p, loaded.Where{Machine: elf.EM_X86_64, Stacks: []uint64{p.Stack(t)}})
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	objects = slices.DeleteFunc(objects, func(o loaded.Object) bool { return o.Path == app })
	if err := s.useImages(ctx, objects, notes); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestImagesAgainstGDB walks from a callback through a library into the C library:
// frames, variables of each and names of other images are gdb's.
func TestImagesAgainstGDB(t *testing.T) {
	p := stoppedtest.Start(t, "-g -O2 -fomit-frame-pointer -pie -fPIE", false)
	commands := []string{"info args", "info locals", "print last", "print work_state", "ptype struct workings", "print sizeof(struct job)", "print &work_state.left", "print each"}
	sees := lookWithGDB(t, p.PID, commands)
	s := besideKernel(t, p, Options{Roots: []string{"/"}, Debug: &debugfile.Finder{Dirs: []string{debugfile.DefaultDir}}})
	regs := target.NewRegs(s.arch)
	for name, v := range sees.Regs {
		reg, ok := s.arch.Reg(name)
		if !ok {
			t.Fatalf("no register %s", name)
		}
		regs.Set(reg.Num, v)
	}
	ctx := context.Background()
	physical, err := s.unwindRegs(ctx, regs)
	if err != nil {
		t.Fatal(err)
	}
	frames := s.expand(physical)
	if len(frames) != len(sees.Frames) || len(frames) < 8 {
		t.Errorf("%d frames, gdb has %d", len(frames), len(sees.Frames))
	}
	files := map[*symbolizer.Image]bool{}
	equal := 0
	for i, f := range frames[:min(len(frames), len(sees.Frames))] {
		want := sees.Frames[i]
		if f.PC != want.PC || f.Loc.Function != want.Name || f.Loc.Line != want.Line {
			t.Errorf("#%d %#x %s:%d, gdb %#x %s:%d", i, f.PC, f.Loc.Function, f.Loc.Line, want.PC, want.Name, want.Line)
			continue
		}
		m := s.mappingAt(f.PC)
		files[m.Image] = true
		own := strings.HasPrefix(m.Image.Path, p.Dir)
		for k, c := range commands {
			// The C library may have no debug information here, and _start has none:
			// there the two only word it differently.
			if k < 2 && (!own || strings.HasPrefix(sees.Answers[i][k], "No symbol table")) {
				continue
			}
			got, want := answerTo(ctx, s, c, &frames[i]), strings.TrimSuffix(sees.Answers[i][k], "\n")
			if _, v, ok := strings.Cut(want, " = "); ok && strings.HasPrefix(want, "$") {
				want = v
			}
			if got != want {
				t.Errorf("#%d %s, %s\nukdbg %s\ngdb   %s", i, f.Loc.Function, c, got, want)
				continue
			}
			equal++
		}
	}
	t.Logf("%d frames in %d images, %d answers are gdb's", len(frames), len(files), equal)
	if len(files) != 3 || equal < 40 {
		t.Errorf("%d images on the stack, %d equal answers", len(files), equal)
	}
}

// answerTo is ukdbg's answer in gdb's words, without the number of a value.
func answerTo(ctx context.Context, s *Session, command string, f *Frame) string {
	verb, rest, _ := strings.Cut(command, " ")
	var text string
	var err error
	switch verb + " " + rest {
	case "info args":
		text, err = s.Args(ctx, *f)
		if text == "" {
			text = "No arguments."
		}
	case "info locals":
		text, err = s.Locals(ctx, *f)
		if text == "" {
			text = "No locals."
		}
	default:
		if verb == "ptype" {
			text, err = s.Ptype(ctx, rest, f)
			text = "type = " + text
			break
		}
		text, err = s.Print(ctx, rest, "", f)
		_, text, _ = strings.Cut(text, " = ")
	}
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(text, "\n")
}

// TestMissingImage: without a file, an image has a name and a place, its frames are
// told apart from unknown code, and a profile has a mapping of it.
func TestMissingImage(t *testing.T) {
	p := stoppedtest.Start(t, "-g -O2 -pie -fPIE", false)
	s := besideKernel(t, p, Options{Apps: []string{filepath.Join(p.Dir, "libwork.so")}})
	ctx := context.Background()
	at := p.First(t, "libc.so.6") + 0x30000
	regs := target.NewRegs(s.arch)
	regs.Set(s.arch.PC, at)
	regs.Set(s.arch.SP, p.Stack(t))
	physical, _ := s.unwindRegs(ctx, regs) // it cannot come far
	if f := s.expand(physical)[0]; !strings.Contains(f.Why, "libc.so.6, of which there is no file") {
		t.Errorf("%q", f.Why)
	}
	// A report tells it too, and for code of a file that has no symbol there.
	fault := &asserts.Fault{Kind: asserts.UnknownTrap, Backtrace: []asserts.CodeAddr{{Addr: at, Kind: asserts.AtPC}}}
	if rep, err := s.report(fault); err != nil || !strings.Contains(rep.Text, fmt.Sprintf("#0  %#x in /", at)) || !strings.Contains(rep.Text, "libc.so.6\n") {
		t.Errorf("%v: %s", err, rep.Text)
	}
	header := p.First(t, "libwork.so")
	regs.Set(s.arch.PC, header)
	physical, _ = s.unwindRegs(ctx, regs)
	if f := s.expand(physical)[0]; f.Loc.Function != "" || !strings.Contains(f.Why, "libwork.so, ") {
		t.Errorf("the ELF header's bytes: %q, %q", f.Loc.Function, f.Why)
	}
	var lib, libc *guestImage
	for _, g := range s.loads.all {
		switch filepath.Base(g.Path) {
		case "libwork.so":
			lib = g
		case "libc.so.6":
			libc = g
		}
	}
	var missing *loaded.MissingError
	if lib == nil || lib.file == nil || libc == nil || !errors.As(libc.missing, &missing) {
		t.Fatalf("%+v %+v", lib, libc)
	}
	banner := strings.Join(s.imagesBanner(), "\n")
	if !strings.Contains(banner, "loaded by the guest: "+lib.Path) || !strings.Contains(banner, libc.Path+" build id "+libc.BuildID+": not found in ") {
		t.Errorf("banner %q", banner)
	}
	info := fmt.Sprint(s.ImagesText())
	if !strings.Contains(info, lib.file.Path) || !strings.Contains(info, "give --app FILE, --debug-dir DIR or --initrd FILE") {
		t.Errorf("info image: %s", info)
	}
	mapped := map[string]bool{}
	for _, m := range s.sampleMappings() {
		if strings.HasPrefix(m.File, "linux-vdso") {
			continue // Linux' maps call it otherwise
		}
		mapped[filepath.Base(m.File)] = m.Start == p.First(t, filepath.Base(m.File)) && m.Last > m.Start && m.BuildID != ""
	}
	if !mapped["app"] || !mapped["libwork.so"] || !mapped["libc.so.6"] {
		t.Errorf("mappings %v", mapped)
	}
	for _, name := range []string{"work", "main"} {
		place, err := s.FindPlace(ctx, name, nil)
		if err != nil || len(place.Addrs) != 1 || !s.mappingAt(place.Addrs[0]).IsCode(place.Addrs[0]) {
			t.Errorf("%s: %+v %v", name, place, err)
		}
	}
}

// Sessions share the images guests loaded themselves: a file is opened once for all,
// and closed when the last of them gave it back.
func TestGuestImagesAreShared(t *testing.T) {
	ctx := context.Background()
	p := stoppedtest.Start(t, "-g -O2 -pie -fPIE", false)
	images := NewImages(0)
	opt := Options{Roots: []string{"/"}, Images: images}
	first, second := besideKernel(t, p, opt), besideKernel(t, p, opt)
	n := len(first.loads.maps) // the kernel's vdso has no file
	if n < 2 || n != len(second.loads.maps) || len(first.loads.all) != len(second.loads.all) {
		t.Fatalf("%d and %d images", n, len(second.loads.maps))
	}
	for i, g := range first.loads.all {
		o := second.loads.all[i]
		if g.missing != nil && o.missing != nil {
			continue
		}
		if g.file == nil || g.file != o.file || g.opened != o.opened {
			t.Errorf("%s: not shared (%v, %v)", g.name(), g.missing, o.missing)
		}
	}
	if st := images.Stats(); st.Used != n || st.Opened != uint64(n) || st.Shared != uint64(n) {
		t.Errorf("%+v, want %d images opened once and shared once", st, n)
	}
	for _, s := range []*Session{first, second} {
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if st := images.Stats(); st.Used != 0 {
		t.Errorf("%+v, want none in use", st)
	}
	if err := images.Close(); err != nil {
		t.Error(err)
	}
}
