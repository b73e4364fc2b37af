package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// codeOf lists n random addresses of the .text of an image, a line each.
func codeOf(t *testing.T, path string, n int) string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := f.Section(".text")
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%#x\n", text.Addr+r.Uint64N(text.Size))
	}
	return b.String()
}

// TestSymbolizeAsLLVM compares the llvm style byte for byte with llvm-symbolizer,
// for few addresses and for many.
func TestSymbolizeAsLLVM(t *testing.T) {
	image := imageFiles(t)["ukguest-x86_64"]
	for _, n := range []int{50, 5000} {
		in := codeOf(t, image, n)
		for _, flags := range [][2][]string{
			{{}, {}},
			{{"--inlines=false"}, {"--no-inlines"}},
			{{"--functions=false"}, {"--functions=none"}},
			{{"-s", "-a"}, {"-s", "-a"}},
		} {
			c := exec.Command("llvm-symbolizer-16", append(flags[1], "--obj="+image)...)
			c.Stdin = strings.NewReader(in)
			want, err := c.Output()
			if err != nil {
				t.Fatalf("llvm-symbolizer-16 (make tools installs it): %v", err)
			}
			status, out, errs := verb(t, in, append([]string{"symbolize", "-e", image, "--output-style", "llvm"}, flags[0]...)...)
			if status != exitOK || errs != "" {
				t.Fatalf("status %d: %s", status, errs)
			}
			if out != string(want) {
				t.Errorf("%d addresses, %v: differs %s", n, flags[1], firstDifference(out, string(want)))
			}
		}
	}
}

// TestSymbolizeAsAddr2line compares the gnu style with addr2line of binutils, but
// for the discriminators it adds, for lines it does not know, and for the space
// between functions, which it counts to the one before; of two names of a place it
// may take the other.
func TestSymbolizeAsAddr2line(t *testing.T) {
	image := imageFiles(t)["ukguest-x86_64"]
	in := codeOf(t, image, 2000)
	symbols := map[string]uint64{}
	if f, err := elf.Open(image); err != nil {
		t.Fatal(err)
	} else {
		defer f.Close()
		all, err := f.Symbols()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			symbols[s.Name] = s.Value
		}
	}
	for _, flags := range []string{"", "-f", "-f -i", "-f -i -a", "-s"} {
		args := strings.Fields(flags)
		c := exec.Command("addr2line", append(args, "-e", image)...)
		c.Stdin = strings.NewReader(in)
		text, err := c.Output()
		if err != nil {
			t.Fatalf("addr2line (binutils): %v", err)
		}
		want := strings.Split(string(text), "\n")
		got := strings.Split(mustVerbIn(t, in, append([]string{"symbolize", "-e", image, "--output-style", "gnu"}, args...)...), "\n")
		if len(got) != len(want) {
			t.Errorf("%q: %d lines, want %d", flags, len(got), len(want))
			continue
		}
		wrong := 0
		for i := range want {
			w, _, _ := strings.Cut(want[i], " (discriminator")
			if strings.HasSuffix(w, ":?") {
				continue
			}
			if v, ok := symbols[w]; got[i] == "??" || ok && symbols[got[i]] == v {
				continue // between functions, or two names of one place
			}
			if got[i] != w {
				if wrong++; wrong < 5 {
					t.Errorf("%q line %d: %q, want %q", flags, i, got[i], w)
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%q: %d of %d lines differ", flags, wrong, len(want))
		}
	}
}

func mustVerbIn(t *testing.T, in string, args ...string) string {
	t.Helper()
	status, out, errs := verb(t, in, args...)
	if status != exitOK {
		t.Fatalf("%v: status %d: %s", args, status, errs)
	}
	return out
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("in line %d: %q, want %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("in length: %d lines, want %d", len(g), len(w))
}

// pipedSymbolize starts the verb in llvm's style, to be asked bit by bit. It is ended
// where it takes too long.
func pipedSymbolize(t *testing.T, image string, args ...string) (c *exec.Cmd, in io.WriteCloser, out io.Reader, errs *bytes.Buffer) {
	t.Helper()
	c = exec.Command(binary, append([]string{"symbolize", "-e", image, "--output-style", "llvm"}, args...)...)
	errs = &bytes.Buffer{}
	c.Stderr = errs
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err = c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	t.Cleanup(func() { timer.Stop() })
	return c, in, out, errs
}

// TestSymbolizeStreams: each line is answered before the next one comes, and what
// is no address is told and passed over.
func TestSymbolizeStreams(t *testing.T) {
	image := imageFiles(t)["ukguest-x86_64"]
	c, in, out, errs := pipedSymbolize(t, image, "--functions=false", "--inlines=false")
	buf := make([]byte, 4096)
	addrs := strings.Fields(codeOf(t, image, 5))
	for i, a := range append(addrs, "elephant") {
		if _, err := io.WriteString(in, a+"\n"); err != nil {
			t.Fatal(err)
		}
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("answer %d: %v %s", i, err, errs.String())
		}
		if text := string(buf[:n]); a == "elephant" && text != "elephant\n" || a != "elephant" && !strings.HasSuffix(text, "\n\n") {
			t.Errorf("%s: %q", a, text)
		}
	}
	in.Close()
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("then %q, %v", rest, err)
	}
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != exitFailed || errs.String() != "ukdbg: \"elephant\" is no hexadecimal address\n" {
		t.Errorf("%v, %s", err, errs.String())
	}
}

// TestSymbolizeLongLine ends with an error for a line that never ends, in bounded
// memory.
func TestSymbolizeLongLine(t *testing.T) {
	image := imageFiles(t)["ukguest-x86_64"]
	c := exec.Command(binary, "symbolize", "-e", image)
	c.Stdin = io.LimitReader(zeros{}, 1<<30)
	text, err := c.CombinedOutput()
	if err == nil || c.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(text), "too long") {
		t.Errorf("%v: %.200s", err, text)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestSymbolizeUsage(t *testing.T) {
	image := imageFiles(t)["ukguest-x86_64"]
	status, _, errs := verb(t, "", "symbolize", "-e", image, "--output-style", "xml", "0x1")
	if status != exitUsage || !strings.Contains(errs, "want text, llvm, gnu or json") {
		t.Errorf("status %d: %s", status, errs)
	}
}

// TestSymbolizeImageCut: an image that is truncated while it is mapped, as by a build
// that writes it anew in place, ends the verb with an error and not with a crash.
func TestSymbolizeImageCut(t *testing.T) {
	data, err := os.ReadFile(imageFiles(t)["ukguest-x86_64"])
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image.dbg")
	if err := os.WriteFile(image, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c, in, out, errs := pipedSymbolize(t, image)
	addrs := strings.Fields(codeOf(t, image, 200))
	if _, err := io.WriteString(in, addrs[0]+"\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 0); err != nil {
		t.Fatal(err)
	}
	// It may be gone before it has read all.
	_, _ = io.WriteString(in, strings.Join(addrs, "\n")+"\n")
	in.Close()
	_, _ = io.Copy(io.Discard, out)
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != exitFailed || !strings.Contains(errs.String(), "changed while") || strings.Contains(errs.String(), "goroutine") {
		t.Errorf("%v: %.300s", err, errs.String())
	}
}

// TestSymbolizeImages: of several images each address is named in the one it is in, with
// that one's slide.
func TestSymbolizeImages(t *testing.T) {
	files := imageFiles(t)
	kernel, app := files["ukguest-x86_64"], files["ukguest-x86_64-nofp"]
	const slide = 0x10000000
	inKernel, inApp := strings.Fields(codeOf(t, kernel, 300)), strings.Fields(codeOf(t, app, 300))
	var moved, mixed, want []string
	for i, a := range inApp {
		v, err := strconv.ParseUint(strings.TrimPrefix(a, "0x"), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		moved = append(moved, fmt.Sprintf("%#x", v+slide))
		mixed = append(mixed, inKernel[i], moved[i])
	}
	run := func(addrs []string, images ...string) []string {
		t.Helper()
		args := []string{"symbolize", "--json"}
		for _, im := range images {
			args = append(args, "-e", im)
		}
		status, out, errs := verb(t, strings.Join(addrs, "\n")+"\n", args...)
		if status != exitOK {
			t.Fatalf("status %d: %s", status, errs)
		}
		return strings.Split(strings.TrimSpace(out), "\n")
	}
	one, two := run(inKernel, kernel), run(moved, fmt.Sprintf("%s@%#x", app, slide))
	for i := range one {
		want = append(want, one[i], two[i])
	}
	if got := run(mixed, kernel, fmt.Sprintf("%s@%#x", app, slide)); !slices.Equal(got, want) {
		t.Errorf("%d answers of two images differ from those of each alone", len(got))
	}
	if !strings.Contains(two[0], `"function"`) {
		t.Errorf("no name: %s", two[0])
	}
	if status, _, errs := verb(t, "", "symbolize", "-e", kernel, "-e", app+"@0xzz", "0x1"); status != exitUsage || !strings.Contains(errs, "no hexadecimal address") {
		t.Errorf("status %d: %s", status, errs)
	}
}
