package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/bundle"
)

// reportFlags say what a bundle is to hold.
type reportFlags struct {
	dump      writeFlags
	out       string
	console   string
	full      bool
	withImage bool
	preview   bool
}

func newReport(e env) *cobra.Command {
	var flags targetFlags
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report TARGET -e NAME.dbg -o FILE",
		Short: "Gather what a bug report needs in one archive: dump, console, trace, triage",
		Long: `report writes a bug bundle: a minimal dump, the console ring (and --console), the trace
buffer as a recording, what 'crash' says, and the image's hash, in one zip archive that
'ukdbg crash BUNDLE' reopens on another machine. TARGET may be a dump, too.

--preview lists what a bundle holds, by name, size, memory and kinds of text, and
writes none; TARGET may be a bundle then. Look before you send it.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.preview && isBundle(args[0]) {
				return previewFile(e, &flags, args[0])
			}
			switch {
			case f.out == "" && !f.preview:
				return usageError{errors.New("report wants -o FILE, or --preview")}
			case flags.image == "":
				return usageError{errors.New("report needs the image: -e NAME.dbg")}
			case f.dump.depth < 0:
				return usageError{errors.New("--depth must be 0 or more")}
			}
			flags.stops.control = f.dump.pause
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				return report(ctx, e, &flags, &f, s)
			})
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	f.dump.add(cmd)
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "the file to write")
	cmd.Flags().StringVar(&f.console, "console", "", "a console log to put in")
	cmd.Flags().BoolVar(&f.full, "full", false, "a full dump: all memory, private data too")
	cmd.Flags().BoolVar(&f.withImage, "with-image", false, "put the image in, so that the bundle opens without it")
	cmd.Flags().BoolVar(&f.preview, "preview", false, "list what the bundle holds, write none")
	return cmd
}

// report writes a bundle, or with --preview throws it away after listing it.
func report(ctx context.Context, e env, flags *targetFlags, f *reportFlags, s *ukdbg.Session) error {
	var m bundle.Manifest
	var err error
	if f.preview {
		m, err = writeBundle(ctx, e, flags, f, s, io.Discard)
	} else {
		err = writeWhole(f.out, func(w io.Writer) error {
			m, err = writeBundle(ctx, e, flags, f, s, w)
			return err
		})
	}
	if err != nil {
		return err
	}
	return showBundle(e, flags, f.out, m)
}

// writeBundle gathers the parts. What a guest does not have is not in it; its
// dump must be.
func writeBundle(ctx context.Context, e env, flags *targetFlags, f *reportFlags, s *ukdbg.Session, out io.Writer) (bundle.Manifest, error) {
	w := bundle.NewWriter(out)
	facts := s.BundleFacts()
	m := bundle.Manifest{Writer: "ukdbg " + version, Target: s.Spec().String(), Kernel: facts.Kernel, Arch: s.Arch().Name,
		Image: &bundle.Image{Name: filepath.Base(flags.image), Hash: facts.ImageHash, BuildID: facts.BuildID}}
	opt := f.dump.options(e)
	opt.Minimal = !f.full
	var st ukdbg.DumpStats
	about := "memory and registers, minimal: what heap objects hold is left out"
	if f.full {
		about = "ALL memory and registers, private data too"
	}
	err := w.Add(bundle.Dump, about, func(o io.Writer) (err error) {
		st, err = s.WriteDump(ctx, o, opt)
		return err
	})
	if opt.Progress != nil {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
	if err != nil {
		return m, err
	}
	for _, p := range st.Parts {
		m.Memory = append(m.Memory, bundle.Memory{Name: p.Name, Pieces: p.Pieces, Bytes: p.Bytes, Texts: p.Texts})
	}
	if err := addTriage(ctx, e, w, s, f.console); err != nil {
		return m, err
	}
	if text, err := s.ConsoleRing(ctx); err == nil {
		err := w.Add(bundle.Console, "the guest's console, as its ring holds it", func(o io.Writer) error { _, err := o.Write(text); return err })
		if err != nil {
			return m, err
		}
	}
	if f.console != "" {
		if err := addFile(w, bundle.Log, "the console log that was given", f.console); err != nil {
			return m, err
		}
	}
	var trace bytes.Buffer
	if n, err := s.SaveTrace(ctx, &trace, "ukdbg "+version); err == nil {
		about := fmt.Sprintf("%d trace records, with their arguments", n)
		if err := w.Add(bundle.Trace, about, func(o io.Writer) error { _, err := trace.WriteTo(o); return err }); err != nil {
			return m, err
		}
	}
	if f.withImage {
		if err := addFile(w, bundle.ImageFolder+filepath.Base(flags.image), "the image: your program and its source paths", flags.image); err != nil {
			return m, err
		}
	}
	return w.Close(m)
}

// addTriage adds what crash says, for programs and for people. log is the console
// log that was given, or "".
func addTriage(ctx context.Context, e env, w *bundle.Writer, s *ukdbg.Session, log string) error {
	out := faultsJSON{Faults: []faultJSON{}}
	text := noFault + "\n"
	switch rep, err := faultWithLog(ctx, e, s, log); {
	case err == nil:
		fault, err := faultOf(rep)
		if err != nil {
			return err
		}
		out.Faults, text = append(out.Faults, fault), rep.Text
	case !ukdbg.IsNoFault(err):
		text = fmt.Sprintf("the fault could not be told: %v\n", err)
	}
	err := w.Add(bundle.Faults, "what the crash is, for programs", func(o io.Writer) error {
		enc := json.NewEncoder(o)
		enc.SetIndent("", "  ")
		return enc.Encode(out)
	})
	if err != nil {
		return err
	}
	return w.Add(bundle.Report, "what the crash is, for people: stack, source lines", func(o io.Writer) error {
		_, err := io.WriteString(o, text)
		return err
	})
}

func addFile(w *bundle.Writer, name, about, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	return w.Add(name, about, func(o io.Writer) error { _, err := io.Copy(o, in); return err })
}

// isBundle reports whether a target is a file that may be a bundle.
func isBundle(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(f, head)
	return err == nil && bundle.Is(head)
}

func openBundle(name string) (*bundle.Bundle, *os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	b, err := bundle.Open(f, st.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return b, f, nil
}

func previewFile(e env, flags *targetFlags, name string) error {
	b, f, err := openBundle(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return showBundle(e, flags, name, b.Manifest())
}

// showBundle lists what a bundle holds.
func showBundle(e env, flags *targetFlags, name string, m bundle.Manifest) error {
	if flags.json {
		return printJSON(e, struct {
			File string `json:"file,omitempty"`
			bundle.Manifest
		}{name, m})
	}
	if name != "" {
		fmt.Fprintf(e.out, "%s: bug bundle of %s, by %s\n", asserts.Escape(name), asserts.Escape(m.Target), asserts.Escape(m.Writer))
	} else {
		fmt.Fprintf(e.out, "a bug bundle of %s would hold\n", asserts.Escape(m.Target))
	}
	for _, f := range m.Files {
		fmt.Fprintf(e.out, "  %-14s %10s  %s\n", asserts.Escape(f.Name), ukdbg.SizeText(uint64(max(0, f.Size))), asserts.Escape(f.About))
	}
	if m.Image != nil {
		fmt.Fprintf(e.out, "  image %s, %s: its name and hash\n", asserts.Escape(m.Image.Name), asserts.Escape(m.Image.Hash))
	}
	fmt.Fprintln(e.out, "memory in the dump, and readable texts in it:")
	for _, p := range m.Memory {
		fmt.Fprintf(e.out, "  %-34s %10s in %d pieces%s\n", asserts.Escape(p.Name), ukdbg.SizeText(p.Bytes), p.Pieces, textsText(p.Texts))
	}
	return nil
}
