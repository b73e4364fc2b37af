package repl

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/chzyer/readline"
)

// Terminal edits lines on a terminal. Its input can be cancelled, so that a
// signal ends a ReadLine that waits for a key.
type Terminal struct {
	rl    *readline.Instance
	stdin *readline.CancelableStdin
}

// Completer proposes the ways to go on with line up to the cursor: the words
// that could replace its last word, and where that word starts.
type Completer func(line string) (words []string, start int)

// NewTerminal returns a Terminal with editing, completion and a history kept
// in historyFile ("" for none).
func NewTerminal(historyFile string, complete Completer) (*Terminal, error) {
	if historyFile != "" {
		if err := makePrivate(historyFile); err != nil {
			historyFile = ""
		}
	}
	stdin := readline.NewCancelableStdin(os.Stdin)
	rl, err := readline.NewEx(&readline.Config{
		HistoryFile:       historyFile,
		HistoryLimit:      2000,
		HistorySearchFold: true,
		AutoComplete:      completer(complete),
		Stdin:             stdin,
		InterruptPrompt:   "^C",
		EOFPrompt:         "quit",
	})
	if err != nil {
		return nil, err
	}
	return &Terminal{rl: rl, stdin: stdin}, nil
}

// makePrivate makes a file for its owner's eyes only, if there is none.
func makePrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// ReadLine edits one line. When ctx ends, the wait for a key does.
func (t *Terminal) ReadLine(ctx context.Context, prompt string) (string, error) {
	defer context.AfterFunc(ctx, func() { _ = t.stdin.Close() /* ends the read, which tells why */ })()
	t.rl.SetPrompt(prompt)
	line, err := t.rl.Readline()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, readline.ErrInterrupt):
		return line, ErrInterrupt
	case err != nil:
		return "", io.EOF
	}
	return line, nil
}

func (t *Terminal) Interactive() bool { return true }

// Close puts the terminal back. The input is cancelled first, so that the
// editor's own goroutine ends before.
func (t *Terminal) Close() error {
	return errors.Join(t.stdin.Close(), t.rl.Close())
}

// completer adapts a Completer to the editor's form: what to append after the
// cursor, and how many runes of it are typed already.
type completer Completer

func (c completer) Do(line []rune, pos int) ([][]rune, int) {
	if c == nil {
		return nil, 0
	}
	text := string(line[:pos])
	words, start := c(text)
	typed := []rune(text[start:])
	var out [][]rune
	for _, w := range words {
		r := []rune(w)
		if len(r) >= len(typed) {
			out = append(out, r[len(typed):])
		}
	}
	return out, len(typed)
}
