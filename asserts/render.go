package asserts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Frame is one function of a backtrace, as a symbolizer names it. Line is 0 if
// it is not known.
type Frame struct {
	Function string
	File     string
	Line     int
	Inline   bool
}

// SourceLine is one line of source text around a place.
type SourceLine struct {
	Number int
	Text   string
}

// Namer gives names to a fault's addresses; Render works without one.
type Namer interface {
	// Frames names a code address (already the one to look up), innermost
	// inlined call first; nil if there is no symbol.
	Frames(lookup uint64) []Frame
}

// imageNamer is the optional power of a Namer to tell where code without a symbol
// comes from.
type imageNamer interface {
	// Image is the file an address belongs to, "" if that is not known or there is
	// only one.
	Image(lookup uint64) string
}

// imageOf tells where an address without a name comes from: " in FILE", or nothing.
func (r *renderer) imageOf(lookup uint64) string {
	if n, ok := r.o.Names.(imageNamer); ok {
		if file := n.Image(lookup); file != "" {
			return " in " + Escape(file)
		}
	}
	return ""
}

// Texter gives source text; it may be absent.
type Texter interface {
	// Lines returns the lines within around of line, nil if the file is not at
	// hand.
	Lines(file string, line, around int) []SourceLine
}

// RenderOptions are what Render uses besides the fault.
type RenderOptions struct {
	Names  Namer
	Source Texter
}

// Render writes the fault for a person. Text of the guest is escaped.
func Render(w io.Writer, f *Fault, o RenderOptions) error {
	r := &renderer{out: bufio.NewWriter(w), f: f, o: o}
	r.headline()
	r.where()
	r.details()
	functions := r.backtrace()
	r.registers()
	r.notes()
	r.line("  fingerprint %s", f.Fingerprint(functions))
	return errors.Join(r.err, r.out.Flush())
}

type renderer struct {
	out *bufio.Writer
	f   *Fault
	o   RenderOptions
	err error
}

func (r *renderer) line(format string, args ...any) {
	fmt.Fprintf(r.out, format+"\n", args...)
}

func (r *renderer) headline() {
	f := r.f
	kind := string(f.Kind)
	if f.Subkind != "" {
		kind += " (" + Escape(f.Subkind) + ")"
	}
	reason := strings.Split(f.Reason, "\n")
	if f.Cause.Text == "" {
		r.line("%s: %s", kind, Escape(reason[0]))
		for _, l := range reason[1:] {
			r.line("    %s", Escape(l))
		}
		return
	}
	from := ""
	if f.Cause.From != "" {
		from = "   (" + f.Cause.From + ")"
	}
	r.line("%s: %s%s", kind, Escape(f.Cause.Text), from)
	for _, l := range reason {
		if !strings.HasPrefix(f.Cause.Text, l) {
			r.line("  %s", Escape(l))
		}
	}
}

// names returns the frames of a backtrace entry.
func (r *renderer) names(c CodeAddr) []Frame { return namesOf(r.o.Names, c) }

// namesOf returns the frames of a backtrace entry: those the image names, or the
// one the report itself does.
func namesOf(names Namer, c CodeAddr) []Frame {
	if names != nil && c.Printed() {
		if frames := names.Frames(c.Lookup()); len(frames) > 0 {
			return frames
		}
	}
	if c.Function == "" && c.Place.File == "" {
		return nil
	}
	return []Frame{{Function: c.Function, File: c.Place.File, Line: c.Place.Line}}
}

// where tells the thread, the place, and the source around it.
func (r *renderer) where() {
	f := r.f
	var place Frame
	if len(f.Backtrace) > 0 {
		if frames := r.names(f.Backtrace[0]); len(frames) > 0 {
			place = frames[0]
		}
	}
	if f.Location.File != "" {
		if path.Base(place.File) != path.Base(f.Location.File) {
			place.File = f.Location.File // else the image tells the whole path
		}
		place.Line = f.Location.Line
	}
	var parts []string
	if f.Thread != "" {
		parts = append(parts, "in thread "+Escape(f.Thread))
	}
	if p := framePlace(place); p != "" {
		parts = append(parts, "at "+p)
	} else if f.PC.Known {
		parts = append(parts, fmt.Sprintf("at %#x%s", f.PC.V, r.imageOf(f.PC.V)))
	}
	if f.Instruction != "" {
		parts = append(parts, "    "+Escape(f.Instruction))
	}
	if len(parts) > 0 {
		r.line("  %s", strings.Join(parts, " "))
	}
	r.source(place, 2, "  ")
}

// source prints the lines around a place, if the file is at hand.
func (r *renderer) source(place Frame, around int, indent string) {
	if r.o.Source == nil || place.Line == 0 {
		return
	}
	for _, l := range r.o.Source.Lines(place.File, place.Line, around) {
		mark := "   "
		if l.Number == place.Line {
			mark = "→  "
		}
		text := fmt.Sprintf("%s%s %4d | %s", indent, mark, l.Number, Escape(l.Text))
		r.line("%s", strings.TrimRight(text, " "))
	}
}

// sourceFrames is how many frames are shown with their source lines.
const sourceFrames = 12

func framePlace(fr Frame) string {
	file := Escape(fr.File)
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		file = file[i+1:]
	}
	if file != "" && fr.Line > 0 {
		file = fmt.Sprintf("%s:%d", file, fr.Line)
	}
	switch {
	case fr.Function == "":
		return file
	case file == "":
		return Escape(fr.Function)
	}
	return fmt.Sprintf("%s (%s)", Escape(fr.Function), file)
}

func (r *renderer) details() {
	f := r.f
	var parts []string
	if f.Address.Known {
		parts = append(parts, fmt.Sprintf("address %#x", f.Address.V))
	}
	if f.InferredAddress.Known {
		parts = append(parts, fmt.Sprintf("address %#x (inferred)", f.InferredAddress.V))
	}
	if f.ErrorCode.Known {
		name := "error code"
		if f.Arch != nil && f.Arch.Name == "arm64" {
			name = "ESR"
		}
		parts = append(parts, fmt.Sprintf("%s %#x", name, f.ErrorCode.V))
	}
	for _, d := range f.Details {
		if d.Name != "severity" && !(d.Name == "at" && f.PC.Known) {
			parts = append(parts, Escape(d.Name)+" "+Escape(d.Value))
		}
	}
	if len(parts) > 0 {
		r.line("  %s", strings.Join(parts, " · "))
	}
	switch {
	case f.Object == nil:
	case f.Object.Kind == "unmapped", f.Object.Kind == "guard-page":
		r.line("  the address: %s", Escape(f.Object.Text)) // it belongs to nobody
	default:
		r.line("  the address belongs to %s", Escape(f.Object.Text))
	}
	if f.Shadow != nil {
		r.err = f.Shadow.Write(r.out, "  ")
	}
}

// backtrace prints the frames and returns the names of their functions.
func (r *renderer) backtrace() (functions []string) {
	n := 0
	for i := 0; i < len(r.f.Backtrace); i++ {
		c := r.f.Backtrace[i]
		how := ""
		if c.How != "" {
			how = "   (" + c.How + ")"
		}
		frames := r.names(c)
		skip := 0
		if same := r.repeats(i); same > 2 {
			// Recursion: the first call of the run tells them all.
			how += fmt.Sprintf("   … and %d more of it", same)
			for range same {
				i++
				functions = append(functions, functionsOf(frames)...)
			}
			skip = same * max(1, len(frames))
		}
		if len(frames) == 0 {
			r.line("  #%-2d %#x%s%s", n, c.Addr, r.imageOf(c.Lookup()), how)
			n += 1 + skip
			continue
		}
		for _, fr := range frames {
			inline := ""
			if fr.Inline {
				inline = " [inlined]"
			}
			r.line("  #%-2d %s%s%s", n, framePlace(fr), inline, how)
			if n > 0 && n < sourceFrames {
				r.source(fr, 1, "      ")
			}
			functions = append(functions, fr.Function)
			n++
		}
		n += skip
	}
	return functions
}

// repeats counts the entries behind entry i that have its address.
func (r *renderer) repeats(i int) (same int) {
	list := r.f.Backtrace
	for k := i + 1; k < len(list) && list[k].Lookup() == list[i].Lookup() && list[k].Function == list[i].Function; k++ {
		same++
	}
	return same
}

func functionsOf(frames []Frame) (out []string) {
	for _, fr := range frames {
		out = append(out, fr.Function)
	}
	return out
}

// registers prints them four in a row, those of the general set only.
func (r *renderer) registers() {
	row := make([]string, 0, 4)
	flush := func() {
		if len(row) > 0 {
			r.line("  %s", strings.Join(row, "  "))
		}
		row = row[:0]
	}
	for _, reg := range r.f.Registers {
		value := fmt.Sprintf("%016x", reg.Value.V)
		if !reg.Value.Known {
			value = fmt.Sprintf("%-16s", Escape(reg.Text)+"…")
		}
		row = append(row, fmt.Sprintf("%-8s %s", Escape(reg.Name), value))
		if len(row) == 4 {
			flush()
		}
	}
	flush()
}

func (r *renderer) notes() {
	f := r.f
	for _, n := range f.Inferred {
		r.line("  inferred: %s", Escape(n))
	}
	if len(f.NotPrinted) > 0 {
		r.line("  not printed by the guest: %s", Escape(strings.Join(f.NotPrinted, ", ")))
	}
	if n := len(f.Consequences) + f.MoreConsequences; n > 0 {
		word := "later reports follow"
		if n == 1 {
			word = "later report follows"
		}
		r.line("  %d %s from this one:", n, word)
		for _, c := range f.Consequences {
			where := ""
			if c.Source.FirstLine > 0 {
				where = fmt.Sprintf("line %d: ", c.Source.FirstLine)
			}
			r.line("    %s%s: %s", where, c.Kind, Escape(c.Reason))
		}
	}
	switch {
	case f.Source.FirstLine > 0:
		r.line("  told at line %d of the log (%s)", f.Source.FirstLine, f.Source.Format)
	case f.Source.Format == MachineFormat:
		r.line("  told by the machine: registers, memory, stack")
	case f.Source.Format != "":
		r.line("  told by the guest's console ring (%s)", f.Source.Format)
	}
	for _, n := range f.Next {
		r.line("  look next: %s", Escape(n))
	}
}
