package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/repl"
)

// pages are the texts for people, by path from the top of the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "guest/*.md", "guest/*/*.md", "deploy/*.md"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[strings.TrimPrefix(filepath.ToSlash(f), "../../")] = string(text)
		}
	}
	return out
}

// code lists the code of a page: the lines of its fenced blocks, and its code
// spans, joined where the text wraps.
func code(page string) (blocks, spans []string) {
	for i, part := range strings.Split(page, "```") {
		if i%2 == 1 {
			blocks = append(blocks, strings.Split(part, "\n")...)
			continue
		}
		for j, span := range strings.Split(part, "`") {
			if j%2 == 1 {
				spans = append(spans, strings.Join(strings.Fields(span), " "))
			}
		}
	}
	return blocks, spans
}

// shellWords are the words of a command line up to where the shell would end it.
func shellWords(line string) (out []string) {
	for _, w := range strings.Fields(line) {
		if w == "#" || w == "|" || w == ">" || w == "&&" || w == "→" {
			break
		}
		w, _, _ = strings.Cut(strings.Trim(w, "'\"[]"), "|") // a choice
		out = append(out, w)
	}
	return out
}

var flagWord = regexp.MustCompile(`^(--[a-z][a-z-]*|-[a-zA-Z])(=.*)?$`)

// flagOf is the flag a word of a command line names.
func flagOf(cmd *cobra.Command, word string) (name string, is, known bool) {
	m := flagWord.FindStringSubmatch(word)
	if m == nil {
		return "", false, false
	}
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		if long, ok := strings.CutPrefix(m[1], "--"); ok && flags.Lookup(long) != nil || !ok && flags.ShorthandLookup(m[1][1:]) != nil {
			return m[1], true, true
		}
	}
	return m[1], true, false
}

// TestDocumentedCommands: each verb that the texts show is there, with the flags
// they give it.
func TestDocumentedCommands(t *testing.T) {
	shown := 0
	for page, text := range pages(t) {
		blocks, spans := code(text)
		for _, line := range slices.Concat(blocks, spans) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
			words := shellWords(strings.TrimPrefix(line, "go run ./cmd/"))
			if len(words) == 0 || words[0] != "ukdbg" {
				continue
			}
			if words = words[1:]; len(words) == 0 || strings.ToUpper(words[0]) == words[0] {
				continue // ukdbg VERB, or a mark
			}
			shown++
			cmd, rest, err := newRoot(env{getenv: func(string) string { return "" }}, nil).Find(words)
			if err == nil && (!cmd.HasParent() || cmd.Name() == "trace") && words[0] != "help" {
				// What is left should have been a verb.
				for _, w := range rest {
					if !flagWord.MatchString(w) && strings.ToUpper(w) != w {
						err = fmt.Errorf("no verb %q", w)
						break
					}
				}
			}
			if err != nil {
				t.Errorf("%s: %q: %v", page, line, err)
				continue
			}
			cmd.InitDefaultHelpFlag()
			for _, w := range words {
				if name, is, known := flagOf(cmd, w); is && !known {
					t.Errorf("%s: %q: %s has no flag %s", page, line, cmd.CommandPath(), name)
				}
			}
		}
	}
	if shown < 50 {
		t.Errorf("only %d commands were found in the texts", shown)
	}
}

// foreignFlags are those of other programs that the texts name alone.
var foreignFlags = []string{"--prefix", "--timestamps", "--memory-only"}

// TestDocumentedFlags: each flag that the texts name by itself is one of some
// verb's.
func TestDocumentedFlags(t *testing.T) {
	known := map[string]bool{"--help": true}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known["--"+f.Name] = true })
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(newRoot(env{getenv: func(string) string { return "" }}, nil))
	for page, text := range pages(t) {
		_, spans := code(text)
		for _, span := range spans {
			word, _, _ := strings.Cut(span, " ")
			if m := flagWord.FindStringSubmatch(word); m != nil && strings.HasPrefix(word, "--") && !known[m[1]] && !slices.Contains(foreignFlags, m[1]) {
				t.Errorf("%s: no verb has a flag %s", page, m[1])
			}
		}
	}
}

// TestDocumentedSessionCommands: what the texts type at the prompt is a command.
func TestDocumentedSessionCommands(t *testing.T) {
	s, err := ukdbg.OpenImage(t.Context(), ukdbg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for page, text := range pages(t) {
		blocks, _ := code(text)
		for _, line := range blocks {
			typed, ok := strings.CutPrefix(line, "(ukdbg) ")
			if !ok {
				continue
			}
			shown++
			name := strings.FieldsFunc(typed, func(r rune) bool { return r == ' ' || r == '/' })[0]
			var out bytes.Buffer
			r := repl.New(s, repl.Options{In: repl.NewPipe(strings.NewReader("")), Out: &out})
			if err := r.Execute(context.Background(), "help "+name); err != nil {
				t.Errorf("%s: %q: %v", page, line, err)
			}
		}
	}
	if shown < 3 {
		t.Errorf("only %d session commands were found in the texts", shown)
	}
}

// TestDocumentedMake: the targets of make that the texts name are in the Makefile.
func TestDocumentedMake(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`^make ([a-z][a-z-]*)`)
	for page, text := range pages(t) {
		if strings.HasPrefix(page, "guest/") {
			continue // these have a Makefile of their own
		}
		blocks, spans := code(text)
		for _, line := range slices.Concat(blocks, spans) {
			if m := call.FindStringSubmatch(line); m != nil && !bytes.Contains(makefile, []byte("\n"+m[1]+":")) {
				t.Errorf("%s: %q: the Makefile has no target %s", page, line, m[1])
			}
		}
	}
}

// TestDocumentedFiles: the texts of this repository that the texts name are there.
func TestDocumentedFiles(t *testing.T) {
	// Below guard/ the state folder has names of its own.
	name := regexp.MustCompile(`(?:^|[\s(` + "`" + `])((?:docs|guest|guard/\w+\.go|internal|cmd|exporters|deploy|asserts|repl/\w+\.go|target|gdbstub|symbolizer|tracebuf)/[\w./-]*\w)`)
	found := 0
	for page, text := range pages(t) {
		for _, m := range name.FindAllStringSubmatch(text, -1) {
			found++
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d files were found in the texts", found)
	}
}
