package ukdbg

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxSourceFile bounds a source file that is shown, in bytes.
const maxSourceFile = 16 << 20

// SourcePath finds the file recorded under a path: by the source map, as it is,
// or below the folders around the image.
func (s *Session) SourcePath(recorded string) (string, error) {
	path := s.opt.sourcePath(recorded)
	if regular(path) {
		return path, nil
	}
	if s.opt.Image != "" {
		// A build moved as a whole keeps the tail of its paths: try the longest
		// first, below each folder above the image.
		tails := tailsOf(path)
		for dir := filepath.Dir(abs(s.opt.Image)); ; dir = filepath.Dir(dir) {
			for _, tail := range tails {
				if p := filepath.Join(dir, tail); regular(p) {
					return p, nil
				}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("%s: no such source file here; --source-map %s=YOUR-FOLDER tells where it is", recorded, filepath.Dir(recorded))
}

// tailsOf lists the ends of a path with at least two elements, longest first.
func tailsOf(path string) []string {
	parts := strings.Split(strings.Trim(filepath.ToSlash(path), "/"), "/")
	var out []string
	for i := 1; i < len(parts)-1; i++ {
		out = append(out, filepath.Join(parts[i:]...))
	}
	return out
}

func abs(path string) string {
	if p, err := filepath.Abs(path); err == nil {
		return p
	}
	return path
}

func regular(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Size() <= maxSourceFile
}

// SourceLines returns the lines from..to of a recorded source file, counted
// from 1; fewer at its end, an error beyond it.
func (s *Session) SourceLines(recorded string, from, to int) ([]string, error) {
	path, err := s.SourcePath(recorded)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	var out []string
	n := 0
	for sc.Scan() && n < to {
		if n++; n >= from {
			out = append(out, sc.Text())
		}
	}
	if err := sc.Err(); err != nil {
		return out, fmt.Errorf("%s: %w", path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has %d lines, none from %d on: %w", path, n, from, errLine)
	}
	return out, nil
}

var errLine = errors.New("line number out of range")
