package firefox

import (
	"strings"

	"github.com/ukdbg/ukdbg/profiler"
)

// tables are what all threads share. Each table is a struct of columns.
type tables struct {
	strings names
	sources sourceTable
	stacks  stackTable
	frames  frameTable
	funcs   funcTable

	sourceAt map[string]int
	stackAt  map[stackKey]int
	frameAt  map[frameKey]int
	funcAt   map[funcKey]int
}

type names struct {
	list []string
	at   map[string]int
}

func (s *names) number(text string) int {
	text = strings.ToValidUTF8(text, "\uFFFD")
	n, ok := s.at[text]
	if !ok {
		n = len(s.list)
		s.at[text] = n
		s.list = append(s.list, text)
	}
	return n
}

type sourceTable struct {
	Length   int       `json:"length"`
	UUID     []*string `json:"uuid"`
	Filename []int     `json:"filename"`
}

type stackTable struct {
	Length int    `json:"length"`
	Frame  []int  `json:"frame"`
	Prefix []*int `json:"prefix"`
}

type frameTable struct {
	Length        int    `json:"length"`
	Address       []int  `json:"address"`
	InlineDepth   []int  `json:"inlineDepth"`
	Category      []int  `json:"category"`
	Subcategory   []int  `json:"subcategory"`
	Func          []int  `json:"func"`
	NativeSymbol  []*int `json:"nativeSymbol"`
	InnerWindowID []*int `json:"innerWindowID"`
	Line          []*int `json:"line"`
	Column        []*int `json:"column"`
}

type funcTable struct {
	Length        int    `json:"length"`
	Name          []int  `json:"name"`
	IsJS          []bool `json:"isJS"`
	RelevantForJS []bool `json:"relevantForJS"`
	Resource      []int  `json:"resource"`
	Source        []*int `json:"source"`
	LineNumber    []*int `json:"lineNumber"`
	ColumnNumber  []*int `json:"columnNumber"`
}

type (
	stackKey struct{ prefix, frame int }
	frameKey struct{ fn, line, category, depth int }
	funcKey  struct{ name, file string }
)

func newTables() *tables {
	return &tables{
		strings:  names{list: []string{}, at: map[string]int{}},
		sources:  sourceTable{UUID: []*string{}, Filename: []int{}},
		stacks:   stackTable{Frame: []int{}, Prefix: []*int{}},
		sourceAt: map[string]int{}, stackAt: map[stackKey]int{}, frameAt: map[frameKey]int{}, funcAt: map[funcKey]int{},
	}
}

// stack returns the number of a sample's stack, nil for an empty one.
func (t *tables) stack(s *profiler.Sample) *int {
	prefix := -1
	push := func(frame int) {
		key := stackKey{prefix, frame}
		n, ok := t.stackAt[key]
		if !ok {
			n = t.stacks.Length
			t.stackAt[key] = n
			t.stacks.Frame = append(t.stacks.Frame, frame)
			t.stacks.Prefix = append(t.stacks.Prefix, number(prefix))
			t.stacks.Length++
		}
		prefix = n
	}
	if s.Truncated {
		push(t.frame(profiler.Frame{Function: profiler.NotCaptured}, categoryOther, 0))
	}
	depth := 0
	for i := len(s.Stack) - 1; i >= 0; i-- {
		f := s.Stack[i]
		if f.Inline {
			depth++
		} else {
			depth = 0
		}
		category := categoryOther
		switch lib := profiler.Library(f.File); {
		case s.Thread.Idle:
			category = categoryIdle
		case lib == "app":
			category = categoryApp
		case lib != "":
			category = categoryKernel
		}
		push(t.frame(f, category, depth))
	}
	return number(prefix)
}

// number is nil for -1.
func number(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

func (t *tables) frame(f profiler.Frame, category, depth int) int {
	fk := funcKey{f.String(), f.File}
	fn, ok := t.funcAt[fk]
	if !ok {
		fn = t.funcs.Length
		t.funcAt[fk] = fn
		c := &t.funcs
		c.Name = append(c.Name, t.strings.number(fk.name))
		c.IsJS, c.RelevantForJS = append(c.IsJS, false), append(c.RelevantForJS, false)
		c.Resource = append(c.Resource, -1)
		c.Source = append(c.Source, t.source(f.File))
		c.LineNumber, c.ColumnNumber = append(c.LineNumber, nil), append(c.ColumnNumber, nil)
		c.Length++
	}
	key := frameKey{fn, f.Line, category, depth}
	n, ok := t.frameAt[key]
	if !ok {
		n = t.frames.Length
		t.frameAt[key] = n
		c := &t.frames
		// Without a library an address means nothing to the viewer.
		c.Address = append(c.Address, -1)
		c.InlineDepth = append(c.InlineDepth, depth)
		c.Category, c.Subcategory = append(c.Category, category), append(c.Subcategory, 0)
		c.Func = append(c.Func, fn)
		c.NativeSymbol, c.InnerWindowID = append(c.NativeSymbol, nil), append(c.InnerWindowID, nil)
		line := f.Line
		if line <= 0 {
			line = -1
		}
		c.Line, c.Column = append(c.Line, number(line)), append(c.Column, nil)
		c.Length++
	}
	return n
}

func (t *tables) source(file string) *int {
	if file == "" {
		return nil
	}
	n, ok := t.sourceAt[file]
	if !ok {
		n = t.sources.Length
		t.sourceAt[file] = n
		t.sources.UUID = append(t.sources.UUID, nil)
		t.sources.Filename = append(t.sources.Filename, t.strings.number(file))
		t.sources.Length++
	}
	return &n
}
