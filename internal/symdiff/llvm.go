package symdiff

import (
	"fmt"
	"os/exec"
	"path"
	"strings"
)

// llvmSymbolizer is the peer; scripts/install.sh has its package.
const llvmSymbolizer = "llvm-symbolizer-16"

// ask asks llvm-symbolizer for all addresses in one run.
func ask(image string, addrs []uint64) ([][]Frame, error) {
	var in strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&in, "%#x\n", a)
	}
	c := exec.Command(llvmSymbolizer, "--obj="+image, "--functions=linkage", "--no-demangle", "--inlines", "--output-style=LLVM")
	c.Stdin = strings.NewReader(in.String())
	b, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s (make tools installs it): %w", llvmSymbolizer, err)
	}
	var out [][]Frame
	for _, block := range strings.Split(strings.TrimSuffix(string(b), "\n\n"), "\n\n") {
		lines := strings.Split(block, "\n")
		var frames []Frame
		for i := 0; i+1 < len(lines); i += 2 {
			f := Frame{Function: lines[i]}
			at := lines[i+1]
			at = at[:max(strings.LastIndexByte(at, ':'), 0)] // the column
			k := max(strings.LastIndexByte(at, ':'), 0)
			f.File = path.Clean(at[:k])
			fmt.Sscan(at[min(k+1, len(at)):], &f.Line)
			frames = append(frames, f)
		}
		out = append(out, frames)
	}
	if len(out) != len(addrs) {
		return nil, fmt.Errorf("%s gave %d answers to %d addresses", llvmSymbolizer, len(out), len(addrs))
	}
	return out, nil
}
