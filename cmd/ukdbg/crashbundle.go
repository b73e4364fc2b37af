package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/bundle"
	"github.com/ukdbg/ukdbg/repl"
)

// crashBundle explains the crash in a bug bundle: from the dump in it and the
// image, which may be in it too. Without an image it tells what was made of it
// where it was written.
func crashBundle(ctx context.Context, e env, flags *crashFlags, name string) (err error) {
	b, f, err := openBundle(name)
	if err != nil {
		return err
	}
	defer f.Close()
	dir, err := os.MkdirTemp("", "ukdbg-bundle-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if in := b.Image(); flags.image == "" && in != "" {
		flags.image = filepath.Join(dir, "image.dbg")
		if err := extract(b, in, flags.image); err != nil {
			return err
		}
	}
	if flags.image == "" {
		if im := b.Manifest().Image; im != nil {
			fmt.Fprintf(e.err, "ukdbg: told as it was written; -e NAME.dbg (%.100q, hash %.80q) reads the dump itself\n", im.Name, im.Hash)
		}
		part := bundle.Report
		if flags.json {
			part = bundle.Faults
		}
		var text strings.Builder
		if err := b.Extract(part, &text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		_, err := io.WriteString(e.out, repl.Printable(text.String()))
		return err
	}
	dump := filepath.Join(dir, bundle.Dump)
	if err := extract(b, bundle.Dump, dump); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if flags.dump.log == "" && b.Has(bundle.Log) {
		flags.dump.log = filepath.Join(dir, bundle.Log)
		if err := extract(b, bundle.Log, flags.dump.log); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return once(ctx, e, &flags.targetFlags, dump, func(ctx context.Context, s *ukdbg.Session) error {
		return crashOf(ctx, e, flags, s)
	})
}

// extract writes a file of a bundle to a path of ours.
func extract(b *bundle.Bundle, name, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(b.Extract(name, f), f.Close())
}

// textsText tells the kinds of texts.
func textsText(kinds map[string]int) string {
	if len(kinds) == 0 {
		return ""
	}
	var words []string
	for k, n := range kinds {
		words = append(words, fmt.Sprintf("%d × %.40q", n, k))
	}
	slices.Sort(words)
	return ": " + strings.Join(words, ", ")
}
