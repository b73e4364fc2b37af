package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ukdbg/ukdbg/imageindex"
)

// imageDirFlags name folders with images.
type imageDirFlags struct{ dirs []string }

func (f *imageDirFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.dirs, "image-dir", nil, "look for guests' images below `DIR`, OCI layouts among them (may be repeated)")
}

// index looks for images in the folders; nil if none was given.
func (f *imageDirFlags) index(ctx context.Context, e env) (*imageindex.Index, error) {
	if len(f.dirs) == 0 {
		return nil, nil
	}
	ix := imageindex.New(imageindex.Options{Dirs: f.dirs, CacheDir: indexDir()})
	return ix, refreshIndex(ctx, e, ix)
}

func refreshIndex(ctx context.Context, e env, ix *imageindex.Index) error {
	st, err := ix.Refresh(ctx)
	for _, n := range st.Notes {
		fmt.Fprintf(e.err, "ukdbg: %s\n", line(n))
	}
	return err
}

// indexDir is the folder for what the index keeps, "" for none.
func indexDir() string {
	dir := cacheDir()
	if dir == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(dir), "index")
}

func newImages(e env) *cobra.Command {
	var asJSON, long bool
	var find string
	cmd := &cobra.Command{
		Use:   "images [DIR…]",
		Short: "List images by content, as guests are matched with them",
		Long: `List the images of guests below folders, OCI layouts among them, by the hash of
what a guest has in memory and never writes: one for the stripped image and for the
file with debug information. Without a folder the build folders of this one are
looked at. --find lists those that have a hash, or a page of code: what
"image unknown" says to look for.`,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			opt := imageindex.Options{Dirs: dirs, CacheDir: indexDir()}
			if len(dirs) == 0 {
				opt.Kraft = []string{"."}
			}
			ix := imageindex.New(opt)
			if err := refreshIndex(cmd.Context(), e, ix); err != nil {
				return err
			}
			list := ix.Images()
			if find != "" {
				var err error
				if list, err = ix.Search(cmd.Context(), find); err != nil {
					return usageError{err}
				}
				if len(list) == 0 && !asJSON {
					return fmt.Errorf("none of %d images has %s", len(ix.Images()), find)
				}
			}
			return writeImages(e, list, asJSON, long)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&long, "long", "l", false, "show whole hashes and every file")
	cmd.Flags().StringVar(&find, "find", "", "list only images with this `HASH`: its beginning, or page:KEY")
	return cmd
}

// indexedJSON is an image of the index: docs/json.md.
type indexedJSON struct {
	Hash    string            `json:"hash"`
	Arch    string            `json:"arch"`
	BuildID string            `json:"build_id,omitempty"`
	Debug   string            `json:"debug,omitempty"`
	Kernel  string            `json:"kernel,omitempty"`
	Files   []indexedFileJSON `json:"files"`
}

type indexedFileJSON struct {
	Path    string `json:"path"`
	From    string `json:"from,omitempty"`
	Form    string `json:"form"`
	Debug   bool   `json:"debug"`
	Archive bool   `json:"archive"`
}

func writeImages(e env, list []*imageindex.Image, asJSON, long bool) error {
	if asJSON {
		out := struct {
			Images []indexedJSON `json:"images"`
		}{[]indexedJSON{}}
		for _, im := range list {
			j := indexedJSON{Hash: im.Hash, Arch: im.Arch, BuildID: im.BuildID, Debug: im.Debug, Kernel: im.Kernel}
			for _, f := range im.Files {
				j.Files = append(j.Files, indexedFileJSON{f.Path, f.From, string(f.Form), f.Debug, f.Archive})
			}
			out.Images = append(out.Images, j)
		}
		return printJSON(e, out)
	}
	if len(list) == 0 {
		fmt.Fprintln(e.out, "no images: no ELF image of x86_64 or arm64, and no OCI layout with one")
		return nil
	}
	tw := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "HASH\tARCH\tDEBUG\tBUILD ID\tFILE\n")
	for _, im := range list {
		hash, debug, first := im.Hash[:16], "no", im.Files[0] // that with debug information, if there is one
		switch {
		case im.Debug != "":
			debug = "yes"
		case first.Debug:
			debug = "yes, in an archive"
		}
		if long {
			hash = im.Hash
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", hash, im.Arch, debug, orDash(im.BuildID), line(cmp.Or(first.From, first.Path)))
		for _, f := range im.Files[1:] {
			if long {
				fmt.Fprintf(tw, "\t\t\t%s\t%s\n", f.Form, line(cmp.Or(f.From, f.Path)))
			}
		}
	}
	flush(tw)
	return nil
}
