package symdiff

import (
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// Options say what is compared.
type Options struct {
	// Limit is the number of addresses; an image with more is sampled. 0 takes
	// all.
	Limit int
	// Step is the distance of addresses, 0 for 1.
	Step uint64
	// Seed chooses the sample.
	Seed uint64
	// Reference is what llvm-symbolizer is given in the place of the image: the
	// same code, its debug information in a form that it reads.
	Reference string
	// NoRows does without the line table as Go's library reads it, which cannot
	// read it: the rule about statements does not apply.
	NoRows bool
}

// Frame is one function at an address.
type Frame struct {
	// Function is the name in the object file, "??" if not known, as is File.
	Function, File string
	Line           int
}

// Difference is an address the two do not agree on.
type Difference struct {
	Addr       uint64
	Ours, LLVM []Frame
}

func (d Difference) String() string {
	return fmt.Sprintf("%#x:\n ours %v\n llvm %v", d.Addr, d.Ours, d.LLVM)
}

// Report is the result of a comparison.
type Report struct {
	// Addresses were compared, Equal of them were equal at once, and Ruled
	// counts those that a rule explains, by its name.
	Addresses, Equal int
	Ruled            map[string]int
	// Lines and Inlined count the answers that tell a line, and an inlined call.
	Lines, Inlined int
	// Differences are those that nothing explains.
	Differences []Difference
}

// Compare opens the image and asks both.
func Compare(image string, opt Options) (*Report, error) {
	im, err := symbolizer.Open(image)
	if err != nil {
		return nil, err
	}
	defer im.Close()
	addrs := addresses(im, opt)
	if opt.Reference != "" {
		image = opt.Reference
	}
	theirs, err := ask(image, addrs)
	if err != nil {
		return nil, err
	}
	var lines LineTable
	if !opt.NoRows {
		if lines, err = ReadLines(image); err != nil {
			return nil, err
		}
	}
	homes, err := symbolHomes(image)
	if err != nil {
		return nil, err
	}
	report := &Report{Addresses: len(addrs), Ruled: map[string]int{}}
	for i, a := range addrs {
		c := &comparison{im: im, lines: lines, homes: homes, Difference: Difference{a, Answer(im, a), theirs[i]}}
		if f := c.Ours; f[0].Line > 0 {
			report.Lines++
			report.Inlined += min(len(f)-1, 1)
		}
		switch name := c.judge(); name {
		case "":
			report.Equal++
		case unexplained:
			report.Differences = append(report.Differences, Difference{a, Answer(im, a), theirs[i]})
		default:
			report.Ruled[name]++
		}
	}
	return report, nil
}

// symbolHomes tells in which section each symbol without a size is, as Go's
// library reads it.
func symbolHomes(image string) (map[string]string, error) {
	f, err := elf.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, s := range syms {
		if i := int(s.Section); s.Size == 0 && i > 0 && i < len(f.Sections) {
			out[s.Name] = f.Sections[i].Name
		}
	}
	return out, nil
}

// addresses lists the code of an image, or a sample of it, in order.
func addresses(im *symbolizer.Image, opt Options) []uint64 {
	var all []uint64
	for _, s := range im.Sections() {
		if s.Code() && s.Type == elf.SHT_PROGBITS {
			for a := s.Addr; a-s.Addr < s.Size; a += max(opt.Step, 1) {
				all = append(all, a)
			}
		}
	}
	if opt.Limit > 0 && len(all) > opt.Limit {
		r := rand.New(rand.NewPCG(opt.Seed, 1))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:opt.Limit]
		slices.Sort(all)
	}
	return all
}

// Answer is what the symbolizer says of an address.
func Answer(im *symbolizer.Image, addr uint64) []Frame {
	locs, err := im.Resolve(addr)
	if err != nil {
		return []Frame{{"??", "??", 0}}
	}
	var out []Frame
	for _, l := range locs {
		f := Frame{l.Linkage, "??", l.Line}
		if f.Function == "" {
			f.Function = l.Function
		}
		if f.Function == "" {
			f.Function = "??"
		}
		if l.File != "" {
			f.File = path.Clean(l.File)
		}
		out = append(out, f)
	}
	return out
}
