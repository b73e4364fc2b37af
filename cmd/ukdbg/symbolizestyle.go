package main

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/repl"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// answerStyle writes answers in one form. It is used by many goroutines.
type answerStyle interface {
	// append adds the answer for an address to b.
	append(b []byte, im *symbolizer.Image, addr uint64, locs []symbolizer.Location, err error) []byte
	// appendBad adds the answer for what is no address.
	appendBad(b []byte, text string) []byte
	// lastRow: of several lines at an address llvm-symbolizer's is wanted.
	lastRow() bool
}

func newAnswerStyle(f *symbolizeFlags) (answerStyle, error) {
	switch f.style {
	case "text":
		return textStyle{f}, nil
	case "json":
		return jsonStyle{f}, nil
	case "llvm":
		return peerStyle{f: f, end: "\n", column: true}, nil
	case "gnu":
		return peerStyle{f: f}, nil
	}
	return nil, fmt.Errorf("--output-style %q: want text, llvm, gnu or json", f.style)
}

// file is a file's name as the flags want it.
func (f *symbolizeFlags) file(name string) string {
	if f.basenames && name != "" {
		name = path.Base(name)
	}
	return repl.Printable(name)
}

// frames are the locations the flags want. Without inlined calls it is the line
// of the innermost function with the name of the one that really is there;
// addr2line gives the name of the innermost.
func (f *symbolizeFlags) frames(locs []symbolizer.Location) []symbolizer.Location {
	if f.inlines || len(locs) < 2 {
		return locs
	}
	if f.style == "gnu" {
		return locs[:1]
	}
	outer := locs[len(locs)-1]
	outer.File, outer.Line, outer.Column, outer.NoLine = locs[0].File, locs[0].Line, locs[0].Column, locs[0].NoLine
	return []symbolizer.Location{outer}
}

// textStyle is for people.
type textStyle struct{ f *symbolizeFlags }

func (textStyle) lastRow() bool                       { return false }
func (textStyle) appendBad(b []byte, _ string) []byte { return b }

func (s textStyle) append(b []byte, _ *symbolizer.Image, addr uint64, locs []symbolizer.Location, err error) []byte {
	b = strconv.AppendUint(append(b, "0x"...), addr, 16)
	b = append(b, ':')
	if err != nil {
		return append(b, " ?? ("+err.Error()+")\n"...)
	}
	for i, l := range s.f.frames(locs) {
		if i > 0 {
			b = append(b, "  inlined by"...)
		}
		if s.f.functions {
			b = append(append(b, ' '), repl.Printable(l.Function)...)
			b = append(b, " at"...)
		}
		b = append(b, ' ')
		if l.File != "" {
			b = append(append(b, s.f.file(l.File)...), ':')
			b = strconv.AppendInt(b, int64(l.Line), 10)
		} else {
			b = append(append(b, "no line: "...), repl.Printable(l.NoLine)...)
		}
		b = append(b, '\n')
	}
	return b
}

// jsonStyle is docs/json.md's.
type jsonStyle struct{ f *symbolizeFlags }

// symbolJSON is the answer for one address: docs/json.md.
type symbolJSON struct {
	Address string      `json:"address"`
	Frames  []frameLine `json:"frames"`
	Reason  string      `json:"reason,omitempty"`
}

type frameLine struct {
	Function string `json:"function,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Inline   bool   `json:"inline,omitempty"`
}

func (jsonStyle) lastRow() bool                       { return false }
func (jsonStyle) appendBad(b []byte, _ string) []byte { return b }

func (s jsonStyle) append(b []byte, _ *symbolizer.Image, addr uint64, locs []symbolizer.Location, err error) []byte {
	j := symbolJSON{Address: "0x" + strconv.FormatUint(addr, 16), Frames: []frameLine{}}
	for _, l := range s.f.frames(locs) {
		fl := frameLine{File: l.File, Line: l.Line, Column: l.Column, Inline: l.Inline}
		if s.f.functions {
			fl.Function = l.Function
		}
		if s.f.basenames && fl.File != "" {
			fl.File = path.Base(fl.File)
		}
		j.Frames = append(j.Frames, fl)
	}
	if err != nil {
		j.Reason = reason(err)
	}
	text, err := json.Marshal(j)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return append(append(b, text...), '\n')
}

// peerStyle is that of llvm-symbolizer (LLVM) and of GNU addr2line.
type peerStyle struct {
	f      *symbolizeFlags
	end    string // after the frames of an address
	column bool
}

func (peerStyle) lastRow() bool { return true }

// appendBad: llvm-symbolizer gives back what it does not understand, addr2line
// takes it for an address without a name.
func (s peerStyle) appendBad(b []byte, text string) []byte {
	if s.column {
		return append(append(b, repl.Printable(text)...), '\n')
	}
	return s.frame(b, &symbolizer.Location{}, "")
}

func (s peerStyle) append(b []byte, im *symbolizer.Image, addr uint64, locs []symbolizer.Location, err error) []byte {
	if s.f.addrs {
		if s.column {
			b = strconv.AppendUint(append(b, "0x"...), addr, 16)
		} else {
			b = fmt.Appendf(b, "0x%016x", addr)
		}
		b = append(b, '\n')
	}
	if err != nil {
		return append(s.frame(b, &symbolizer.Location{}, ""), s.end...)
	}
	all := s.f.frames(locs)
	for i := range all {
		b = s.frame(b, &all[i], s.name(im, &all[i], i == len(all)-1))
	}
	return append(b, s.end...)
}

// name is what the peer calls a function; last is the one that really is there.
func (s peerStyle) name(im *symbolizer.Image, l *symbolizer.Location, last bool) string {
	mangled := l.Linkage != "" && im.Demangle(l.Linkage) != l.Linkage
	switch {
	case mangled && !s.f.demangle:
		return l.Linkage
	case s.column && last && l.Linkage != "":
		// llvm-symbolizer has the name from the symbol table, which tells clones
		// and split off parts.
		return im.Demangle(l.Linkage)
	}
	return l.Function
}

func (s peerStyle) frame(b []byte, l *symbolizer.Location, name string) []byte {
	if s.f.functions {
		b = append(append(b, orUnknown(repl.Printable(name))...), '\n')
	}
	b = append(append(b, orUnknown(s.f.file(l.File))...), ':')
	if !s.column && l.Line == 0 && l.File != "" {
		return append(b, "?\n"...)
	}
	b = strconv.AppendInt(b, int64(l.Line), 10)
	if s.column {
		b = strconv.AppendInt(append(b, ':'), int64(l.Column), 10)
	}
	return append(b, '\n')
}

func orUnknown(s string) string {
	if strings.TrimSpace(s) == "" {
		return "??"
	}
	return s
}
