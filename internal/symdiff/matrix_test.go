package symdiff

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build is one way a program is made: a command for each file, $IN and $OUT put
// in, and one that links the objects to out.
type build struct {
	name    string
	compile string
	link    string
	files   []string
	step    uint64
}

var (
	cFiles   = []string{"nasty.c", "second.c", "by_hand.S"}
	cxxFiles = []string{"nasty.cc"}
)

func builds() []build {
	var out []build
	for _, cc := range []string{"gcc-12", "clang-14", "clang-16"} {
		cxx := strings.Replace(strings.Replace(cc, "gcc", "g++", 1), "clang", "clang++", 1)
		for _, o := range []string{"-O0", "-O2", "-Os"} {
			for _, v := range []string{"4", "5"} {
				flags := o + " -gdwarf-" + v
				out = append(out,
					build{name: "c " + cc + " " + flags, compile: cc + " -c " + flags, link: cc, files: cFiles},
					build{name: "c++ " + cc + " " + flags, compile: cxx + " -std=c++17 -c " + flags, link: cxx, files: cxxFiles},
				)
			}
		}
	}
	add := func(name, compile, link string, files []string, step uint64) {
		out = append(out, build{name, compile, link, files, step})
	}
	add("c gcc-12 lto", "gcc-12 -c -O2 -g -flto", "gcc-12 -O2 -g -flto", cFiles, 0)
	add("c++ gcc-12 lto", "g++-12 -std=c++17 -c -O2 -g -flto", "g++-12 -O2 -g -flto", cxxFiles, 0)
	add("c clang-16 lto", "clang-16 -c -O2 -g -flto", "clang-16 -O2 -flto -fuse-ld=lld-16", cFiles, 0)
	add("c++ clang-16 thin lto", "clang++-16 -std=c++17 -c -O2 -g -flto=thin", "clang++-16 -O2 -flto=thin -fuse-ld=lld-16", cxxFiles, 0)
	add("c gcc-12 dwarf-2", "gcc-12 -c -O2 -gdwarf-2 -gstrict-dwarf", "gcc-12", cFiles, 0)
	add("c gcc-12 dwarf-3", "gcc-12 -c -Os -gdwarf-3", "gcc-12", cFiles, 0)
	add("c gcc-12 dwarf64", "gcc-12 -c -O2 -gdwarf-5 -gdwarf64", "gcc-12", cFiles, 0)
	add("c clang-16 dwarf64", "clang-16 -c -O2 -gdwarf-5 -gdwarf64", "clang-16 -fuse-ld=lld-16", cFiles, 0)
	add("c gcc-12 zlib", "gcc-12 -c -O2 -g -gz=zlib", "gcc-12 -gz=zlib", cFiles, 0)
	add("c gcc-12 zdebug", "gcc-12 -c -O2 -g -gz=zlib-gnu", "gcc-12 -Wl,--compress-debug-sections=zlib-gnu", cFiles, 0)
	add("c gcc-12 zstd", "gcc-12 -c -O2 -g", "gcc-12 -Wl,--compress-debug-sections=zstd", cFiles, 0)
	add("c++ gcc-12 types", "g++-12 -std=c++17 -c -O2 -gdwarf-4 -fdebug-types-section", "g++-12", cxxFiles, 0)
	add("c++ clang-16 types", "clang++-16 -std=c++17 -c -O2 -gdwarf-5 -fdebug-types-section", "clang++-16 -fuse-ld=lld-16", cxxFiles, 0)
	add("c++ gcc-12 sections", "g++-12 -std=c++17 -c -O2 -g -ffunction-sections", "g++-12 -Wl,--gc-sections", cxxFiles, 0)
	add("c++ clang-16 names", "clang++-16 -std=c++17 -c -O2 -gdwarf-5 -gpubnames -gdwarf-aranges", "clang++-16 -fuse-ld=lld-16", cxxFiles, 0)
	for _, o := range []string{"-O0", "-O2", "-Os"} {
		add("c arm64 gcc-12 "+o, "aarch64-linux-gnu-gcc-12 -ffreestanding -fno-stack-protector -c -g "+o, "aarch64-linux-gnu-gcc-12 -nostdlib -static -Wl,-e,main", cFiles, 4)
		add("c arm64 clang-16 "+o, "clang-16 --target=aarch64-linux-gnu -ffreestanding -c -g "+o, "aarch64-linux-gnu-gcc-12 -nostdlib -static -Wl,-e,main", cFiles, 4)
	}
	for _, v := range []string{"4", "5"} {
		flags := " -mbig-endian -ffreestanding -fno-stack-protector -c -O2 -gdwarf-" + v
		add("c big-endian arm64 gcc-12 dwarf-"+v, "aarch64-linux-gnu-gcc-12"+flags, "aarch64-linux-gnu-gcc-12 -mbig-endian -nostdlib -static -Wl,-e,main", cFiles, 4)
	}
	add("rust 0", "", "rustc --edition 2021 -g -C opt-level=0 -o $OUT nasty.rs", nil, 0)
	add("rust 2", "", "rustc --edition 2021 -g -C opt-level=2 -C codegen-units=1 -o $OUT nasty.rs", nil, 0)
	add("rust s lto", "", "rustc --edition 2021 -g -C opt-level=s -C lto=fat -C panic=abort -o $OUT nasty.rs", nil, 0)
	add("go", "", "go build -o $OUT nasty.go", nil, 0)
	add("go no inlining", "", "go build -gcflags=all=-N -gcflags=all=-l -o $OUT nasty.go", nil, 0)
	return out
}

// make builds the program and returns its path.
func (b build) make(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sources, err := filepath.Glob(filepath.Join("testdata", "src", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		text, err := os.ReadFile(s)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, strings.TrimSuffix(filepath.Base(s), ".txt")), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(line string) {
		t.Helper()
		args := strings.Fields(line)
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Fatalf("%s is needed by this test (make tools installs it): %v", args[0], err)
		}
		c := exec.Command(args[0], args[1:]...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	if strings.Contains(b.link, "$OUT") {
		run(strings.Replace(b.link, "$OUT", "out", 1))
		return filepath.Join(dir, "out")
	}
	objects := ""
	for i, f := range b.files {
		o := fmt.Sprintf("%d.o", i)
		run(b.compile + " -o " + o + " " + f)
		objects += " " + o
	}
	run(b.link + " -o out" + objects)
	if strings.HasSuffix(b.name, "zdebug") {
		run("objcopy --decompress-debug-sections out plain")
	}
	return filepath.Join(dir, "out")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// plain builds have next to no inlined calls.
func (b build) plain() bool {
	return b.name == "go no inlining" || strings.HasPrefix(b.name, "c++") && strings.Contains(b.name, "-O0")
}

// limit is how many addresses of one program are compared.
const limit = 20000

func TestMatrix(t *testing.T) {
	for _, b := range builds() {
		t.Run(b.name, func(t *testing.T) {
			image := b.make(t)
			// debug/dwarf takes the 4-byte str_offsets for those of 64-bit DWARF.
			opt := Options{Limit: limit, Step: b.step, NoRows: b.name == "c clang-16 dwarf64"}
			if plain := filepath.Join(filepath.Dir(image), "plain"); exists(plain) {
				opt.Reference = plain // llvm-symbolizer 16 reads no .zdebug sections any more
			}
			report, err := Compare(image, opt)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range report.Differences {
				if i == 5 {
					break
				}
				t.Errorf("nothing explains %v", d)
			}
			t.Logf("%d addresses, %d with a line, %d inlined, %d equal, explained %v, not %d", report.Addresses, report.Lines, report.Inlined, report.Equal, report.Ruled, len(report.Differences))
			// The sense of the comparison: enough of it is about lines and inlined
			// calls, and little needs a rule.
			if report.Addresses < 300 || report.Lines < 200 || report.Inlined < 30 && !b.plain() {
				t.Errorf("%d addresses, %d with a line, %d inlined", report.Addresses, report.Lines, report.Inlined)
			}
			if report.Equal < report.Addresses/2 {
				t.Errorf("only %d of %d answers are equal at once", report.Equal, report.Addresses)
			}
		})
	}
}
