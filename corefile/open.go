package corefile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Options tell what some formats do not. The zero value is for those that tell
// all.
type Options struct {
	// Arch is the guest's architecture, for raw RAM and Firecracker's memory
	// file, which do not name it. A format that does is believed.
	Arch *arch.Arch
	// Base is where raw RAM begins, a physical address. It makes a file raw RAM
	// that is nothing else; without it the file is if Arch is given.
	Base *uint64
	// Machine names how raw RAM lies in the guest's physical memory: see
	// Layouts. "" is one piece.
	Machine string
	// Memory is the memory file that belongs to a Firecracker state file.
	Memory string
}

// input is the file a format's reader is given.
type input struct {
	r    io.ReaderAt
	size int64
	head []byte // the first bytes, at most headSize
	opt  Options
	// open opens another file by its name.
	open func(path string) (io.ReaderAt, int64, error)
}

// headSize is how much of a file it is recognised by.
const headSize = 4096

// format is one kind of dump.
type format struct {
	// name is what people call it.
	name string
	// is reports whether a file that begins with head has this format.
	is   func(head []byte) bool
	read func(input) (*contents, error)
}

// formats lists all there are, in the order they are tried.
func formats() []format {
	return []format{
		{"flattened kdump", isFlat, readFlat},
		{"kdump", isKdump, readKdump},
		{"Firecracker state", isFirecracker, readFirecracker},
		{"libvirt save image", isLibvirtSave, refuseLibvirtSave},
		{"ELF", isELF, readELF},
	}
}

// Recognised reports whether a file that begins with head is a dump of a format
// that can be told by its first bytes, packed or not. Raw RAM cannot.
func Recognised(head []byte) bool {
	if packed(head) != "" {
		return true
	}
	for _, f := range formats() {
		if f.is(head) {
			return true
		}
	}
	return false
}

// Open opens a dump file of a format that tells all.
func Open(path string) (*Dump, error) { return OpenWith(path, Options{}) }

// OpenWith opens a dump file. Errors that are ErrFormat say what the file seems
// to be.
func OpenWith(path string, opt Options) (*Dump, error) {
	var files closers
	r, size, err := files.open(path)
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	d, err := newDump(input{r: r, size: size, opt: opt, open: files.open})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), files.Close())
	}
	d.files = files
	if f, ok := r.(*os.File); ok {
		d.now = func() int64 {
			st, err := f.Stat()
			if err != nil {
				return size
			}
			return st.Size()
		}
	}
	d.opened = size
	return d, nil
}

// New opens the dump of the given size in r, which is read as long as the dump
// is used.
func New(r io.ReaderAt, size int64) (*Dump, error) { return NewWith(r, size, Options{}) }

// NewWith is New with options. Options.Memory is a file's name all the same.
func NewWith(r io.ReaderAt, size int64, opt Options) (*Dump, error) {
	var files closers
	d, err := newDump(input{r: r, size: size, opt: opt, open: files.open})
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	d.files = files
	return d, nil
}

// open opens a regular file, which Close closes.
func (c *closers) open(path string) (io.ReaderAt, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	*c = append(*c, f)
	st, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !st.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: %w: it is no regular file", path, ErrFormat)
	}
	return f, st.Size(), nil
}

func newDump(in input) (*Dump, error) {
	var err error
	if in.r, in.size, err = unpack(in.r, in.size); err != nil {
		return nil, err
	}
	head := make([]byte, headSize)
	n, err := in.r.ReadAt(head, 0)
	if n < len(head) && err != nil && err != io.EOF {
		return nil, fmt.Errorf("%w: %w", errIO, err)
	}
	in.head = head[:n]
	read := readRaw
	for _, f := range formats() {
		if f.is(in.head) {
			read = f.read
			break
		}
	}
	c, err := read(in)
	if err != nil {
		return nil, err
	}
	return c.dump(), nil
}

// closers are files to close together.
type closers []io.Closer

func (c closers) Close() (err error) {
	for _, f := range c {
		if e := f.Close(); err == nil {
			err = e
		}
	}
	return err
}
