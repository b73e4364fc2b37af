package repl

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// LineReader gives the session its lines. ReadLine returns io.EOF at the end of
// input, ErrInterrupt when ^C was typed at the prompt, and ctx's error when that
// ended.
type LineReader interface {
	ReadLine(ctx context.Context, prompt string) (string, error)
	// Interactive reports whether a person types the lines.
	Interactive() bool
}

// ErrInterrupt is returned by a LineReader when ^C was typed at the prompt.
var ErrInterrupt = errors.New("interrupted")

// maxLine bounds the length of a command line in bytes.
const maxLine = 64 << 10

// pipe reads lines without a prompt or echo.
type pipe struct {
	s     *bufio.Scanner
	lines chan read // the result of a Scan under way, nil if none is
}

type read struct {
	line string
	err  error
}

// NewPipe returns a LineReader over r that prints no prompt: for pipes, files
// and tests.
func NewPipe(r io.Reader) LineReader {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	return &pipe{s: s}
}

// ReadLine reads in a goroutine of its own, because a read of a pipe cannot be
// cancelled and a signal must end the session all the same.
func (p *pipe) ReadLine(ctx context.Context, _ string) (string, error) {
	if p.lines == nil {
		lines := make(chan read, 1)
		p.lines = lines
		go func() {
			if p.s.Scan() {
				lines <- read{line: p.s.Text()}
				return
			}
			err := p.s.Err()
			if err == nil {
				err = io.EOF
			}
			lines <- read{err: err}
		}()
	}
	select {
	case got := <-p.lines:
		p.lines = nil
		return got.line, got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (p *pipe) Interactive() bool { return false }
