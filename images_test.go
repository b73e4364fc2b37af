package ukdbg_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/profiler"
)

// crashed writes the demo's dump and its image, and returns their paths.
func crashed(t testing.TB) (dump, image string) {
	t.Helper()
	dir := t.TempDir()
	for packed, as := range map[string]*string{"crash.dump": &dump, "ukguest-x86_64.dbg": &image} {
		in, err := os.Open(filepath.Join("demo", "data", packed+".zst"))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		dec, err := zstd.NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		*as = filepath.Join(dir, packed)
		out, err := os.Create(*as)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dec.WriteTo(out); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dump, image
}

// tour does with a session what an agent does, and writes down what it saw.
func tour(ctx context.Context, s *ukdbg.Session) (string, error) {
	threads, err := s.Threads(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, t := range threads {
		frames, err := s.Backtrace(ctx, t)
		fmt.Fprintf(&b, "%s %s %v\n", t.Name, t.Doing(), err)
		for _, f := range frames {
			locals, err := s.Locals(ctx, f)
			fmt.Fprintf(&b, "  %s\n%s %v\n", f, locals, err)
		}
	}
	p, err := s.Profile(ctx, ukdbg.ProfileOptions{Kind: profiler.Wall, Duration: 200 * time.Millisecond})
	if err != nil {
		return "", err
	}
	if p.Samples == nil {
		return "", errors.New("a profile without samples")
	}
	return b.String(), nil
}

// Sessions in different goroutines share one image: they see what a session with an
// image of its own sees, the image is read once, and is closed when it was given
// back. Run with -race.
func TestSessionsShareAnImage(t *testing.T) {
	ctx := context.Background()
	dump, image := crashed(t)
	open := func(images *ukdbg.Images, target, image string) *ukdbg.Session {
		s, err := ukdbg.Open(ctx, ukdbg.Options{Target: target, Image: image, Images: images})
		if err != nil {
			t.Error(err)
			return nil
		}
		return s
	}
	alone := open(nil, "core:"+dump, image)
	want, err := tour(ctx, alone)
	if err != nil {
		t.Fatal(err)
	}
	if err := alone.Close(ctx); err != nil {
		t.Error(err)
	}
	if !strings.Contains(want, "main.c") {
		t.Fatalf("a backtrace without sources:\n%s", want)
	}
	// The image's own file, and a copy of it, as in another container.
	copied := filepath.Join(t.TempDir(), "copy.dbg")
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	g := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	g.WaitConsole(t, "requests served", 30*time.Second)

	images := ukdbg.NewImages(2)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if i == 0 {
				// A running guest, of a file that need not have the dump's content.
				for range 3 {
					if s := open(images, "qmp:"+g.QMPPath, g.Debug); s != nil {
						if _, err := tour(ctx, s); err != nil {
							t.Error(err)
						}
						if err := s.Close(ctx); err != nil {
							t.Error(err)
						}
					}
				}
				return
			}
			for k := range 3 {
				name := []string{image, copied}[(i+k)%2]
				s := open(images, "core:"+dump, name)
				if s == nil {
					return
				}
				got, err := tour(ctx, s)
				if err != nil {
					t.Error(err)
				}
				if got != want {
					t.Errorf("a session with a shared image saw\n%s\none alone\n%s", got, want)
				}
				if err := s.Close(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	st := images.Stats()
	if st.Used != 0 || st.Open > 2 || st.Opened > 2 || st.Opened+st.Shared < 24 {
		t.Errorf("%+v, want at most two images read for 24 sessions and none in use", st)
	}
	if err := images.Close(); err != nil {
		t.Error(err)
	}
	if st := images.Stats(); st.Open != 0 {
		t.Errorf("%d images are open after Close", st.Open)
	}
}

// An image that is shared is the process's own copy: what is done to its file
// afterwards harms no session, and the next one opens what the file is by then.
func TestSharedImageFileIsCut(t *testing.T) {
	ctx := context.Background()
	dump, image := crashed(t)
	images := ukdbg.NewImages(0)
	opt := ukdbg.Options{Target: "core:" + dump, Image: image, Images: images}
	s, err := ukdbg.Open(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 100); err != nil {
		t.Fatal(err)
	}
	text, err := tour(ctx, s)
	if err != nil || !strings.Contains(text, "main.c") {
		t.Errorf("%v\n%s", err, text)
	}
	if other, err := ukdbg.Open(ctx, opt); err == nil {
		t.Error("the file that was cut was opened")
		if err := other.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	if st := images.Stats(); st.Used != 0 || st.Open != 1 {
		t.Errorf("%+v, want the image open and not in use", st)
	}
	if err := images.Close(); err != nil {
		t.Error(err)
	}
}

// More images than the limit are refused, and an image that is not used makes room.
func TestImagesAreBounded(t *testing.T) {
	ctx := context.Background()
	dump, image := crashed(t)
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.dbg")
	if err := os.WriteFile(other, append(data, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	images := ukdbg.NewImages(1)
	opt := ukdbg.Options{Target: "core:" + dump, Image: image, Images: images}
	first, err := ukdbg.Open(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	opt.Image = other
	if _, err := ukdbg.Open(ctx, opt); !errors.Is(err, ukdbg.ErrImagesFull) {
		t.Errorf("a second image: %v, want ErrImagesFull", err)
	}
	if err := first.Close(ctx); err != nil {
		t.Error(err)
	}
	second, err := ukdbg.Open(ctx, opt)
	if err != nil {
		t.Fatalf("after the first was given back: %v", err)
	}
	if st := images.Stats(); st.Open != 1 || st.Used != 1 || st.Opened != 3 {
		t.Errorf("%+v", st)
	}
	// Images end with their last session.
	if err := images.Close(); err != nil {
		t.Error(err)
	}
	if _, err := tour(ctx, second); err != nil {
		t.Error(err)
	}
	if err := second.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := second.Close(ctx); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if st := images.Stats(); st.Open != 0 {
		t.Errorf("%+v", st)
	}
	opt.Image = image
	if _, err := ukdbg.Open(ctx, opt); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
