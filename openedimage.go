package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/ukdbg/ukdbg/kernel/linux"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// openedImage is an image with what is made of it alone: several sessions may use
// one at once, from different goroutines.
type openedImage struct {
	file *symbolizer.Image

	typesOnce sync.Once
	types     *ctype.Types // nil without debug information
	typesErr  error        // why

	readOnce sync.Once
	kernel   unikraft.Image // the image as a Unikraft, which it may not be
	linux    bool           // it is a Linux kernel
}

// openImage opens the image of opt, or finds it open. done gives it back.
func openImage(ctx context.Context, opt Options) (im *openedImage, done func() error, err error) {
	if opt.Images != nil {
		id, err := identify(opt.Image, opt)
		if err != nil {
			return nil, nil, mark(fmt.Errorf("image: %w", err), ErrUsage)
		}
		im, done, err = opt.Images.acquire(ctx, id, func() (*openedImage, error) { return openShared(ctx, opt) })
		if errors.Is(err, ErrImagesFull) || errors.Is(err, os.ErrClosed) {
			err = fmt.Errorf("image %s: %w", opt.Image, err)
		}
		return im, done, err
	}
	if im, err = openImageFile(ctx, opt, ""); err != nil {
		return nil, nil, err
	}
	return im, im.file.Close, nil
}

// openImageFile opens the image of opt; private is the folder for a copy, "" for none.
func openImageFile(ctx context.Context, opt Options, private string) (*openedImage, error) {
	im, err := symbolizer.OpenWith(ctx, opt.Image, symbolizer.OpenOptions{Debug: opt.Debug, Private: private})
	if err == nil && im.BigEndian() {
		err = errors.Join(fmt.Errorf("%s is big-endian: its addresses can be named (ukdbg symbolize), a guest cannot be debugged with it", opt.Image), im.Close())
	}
	if err != nil {
		return nil, mark(fmt.Errorf("image: %w", err), ErrUsage)
	}
	im.UseCache(opt.CacheDir)
	return &openedImage{file: im}, nil
}

// loadTypes makes the types of the image known, once.
func (o *openedImage) loadTypes() (*ctype.Types, error) {
	o.typesOnce.Do(func() {
		if o.typesErr = o.file.NoDWARF(); o.typesErr != nil {
			return
		}
		if o.types, o.typesErr = ctype.New(o.file); o.typesErr != nil {
			o.types = nil
		}
	})
	return o.types, o.typesErr
}

// read does, once, what needs no guest and would take time later: the index of
// types, and the tables behind the first name and the first stack frame.
func (o *openedImage) read() {
	o.readOnce.Do(func() {
		types, _ := o.loadTypes()
		o.kernel = unikraft.FromSymbolizer(o.file, types)
		var wg sync.WaitGroup
		if o.linux = linux.Detect(linuxImage{o.file}); !o.linux {
			wg.Go(func() { o.kernel.WaitObjects() })
		}
		wg.Go(func() {
			o.file.CFI()
			// Whether it has a name is of no interest here.
			_, _ = o.file.Resolve(o.file.Entry())
		})
		wg.Wait()
	})
}
