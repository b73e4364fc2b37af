package repl

import (
	"path/filepath"
	"sort"
	"strings"
)

// maxComplete bounds how many words completion proposes.
const maxComplete = 200

// Complete proposes words for a line cut at the cursor. It is a Completer.
func (r *REPL) Complete(line string) (words []string, start int) {
	word, _ := split(line)
	trimmed := strings.TrimLeft(line, " ")
	if len(trimmed) <= len(word) {
		words, start = completeCommands(r, word)
		return words, len(line) - len(word) + start
	}
	c, err := lookup(r.cmds, word)
	if err != nil || c.complete == nil {
		return nil, len(line)
	}
	at := strings.Index(line, word) + len(word)
	words, start = c.complete(r, line[at:])
	return words, at + start
}

func completeCommands(r *REPL, args string) ([]string, int) {
	typed := strings.TrimLeft(args, " ")
	var out []string
	for _, c := range r.cmds {
		if strings.HasPrefix(c.name, typed) {
			out = append(out, c.name)
		}
	}
	sort.Strings(out)
	return out, len(args) - len(typed)
}

func completeInfo(r *REPL, args string) ([]string, int) {
	typed := strings.TrimLeft(args, " ")
	if strings.Contains(typed, " ") {
		return completeSymbols(r, args)
	}
	var out []string
	for _, t := range infoTopics() {
		if strings.HasPrefix(t.name, typed) {
			out = append(out, t.name)
		}
	}
	return out, len(args) - len(typed)
}

// lastName finds where the identifier before the cursor starts.
func lastName(s string) int {
	return strings.LastIndexFunc(s, func(c rune) bool {
		return !(c == '_' || c == '.' || c == '/' || c == '-' ||
			c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9')
	}) + 1
}

// completeSymbols proposes functions, variables and registers.
func completeSymbols(r *REPL, args string) ([]string, int) {
	start := strings.LastIndexFunc(args, func(c rune) bool {
		return !(c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9')
	}) + 1
	typed := args[start:]
	var out []string
	if reg, ok := strings.CutPrefix(typed, "$"); ok {
		for _, x := range r.s.Arch().Regs {
			if strings.HasPrefix(x.Name, reg) {
				out = append(out, "$"+x.Name)
			}
		}
		return out, start
	}
	return unique(r.s.NamesWithPrefix(typed, maxComplete)), start
}

// completeLocation proposes functions and source files.
func completeLocation(r *REPL, args string) ([]string, int) {
	start := lastName(args)
	typed := args[start:]
	out := r.s.NamesWithPrefix(typed, maxComplete)
	for _, f := range r.s.SourceFiles() {
		if base := filepath.Base(f); strings.HasPrefix(base, typed) && len(out) < 2*maxComplete {
			out = append(out, base+":")
		}
	}
	return unique(out), start
}

func unique(words []string) []string {
	sort.Strings(words)
	out := words[:0]
	for i, w := range words {
		if i == 0 || w != words[i-1] {
			out = append(out, w)
		}
	}
	return out
}
