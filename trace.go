package ukdbg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Trace is the contents of a guest's trace buffer at one moment.
type Trace struct {
	Guest    *stream.Guest
	Snapshot *tracebuf.Snapshot
	// Slide is run-time minus link-time address of the records' cookies.
	Slide uint64
	// Taken is when the snapshot was read, by the host's clock; zero where the
	// file does not tell.
	Taken time.Time
}

// The sections of a .dbg file that describe a trace buffer.
const (
	definitionsSection = ".uk_tracepoints_list"
	keyvalsSection     = ".uk_trace_keyvals"
)

// traceGuest describes the traces of an image: its definitions and key-values.
func traceGuest(im *symbolizer.Image, file string) (*stream.Guest, error) {
	section, err := im.SectionData(definitionsSection)
	if err != nil {
		return nil, fmt.Errorf("%s: section %s: %w", file, definitionsSection, err)
	}
	defs, err := tracebuf.ParseDefinitions(section)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	keyvals, err := tracebuf.ParseKeyVals(im.Section(keyvalsSection))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := keyvals.CheckVersion(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &stream.Guest{
		Start: recording.Start{
			Image: filepath.Base(file), Name: strings.TrimSuffix(filepath.Base(file), ".dbg"),
			ImageHash: im.ContentHash(), Arch: im.Arch().Name, KeyVals: keyvals, Switch: stream.FindSwitch(defs),
		},
		Definitions: defs,
	}, nil
}

// traceGuest describes the session's guest as the source of traces.
func (s *Session) traceGuest(ctx context.Context) (*stream.Guest, error) {
	if s.kernel == nil {
		return nil, fmt.Errorf("trace buffer: %s", s.noKernel)
	}
	g, err := traceGuest(s.image, s.opt.Image)
	if err != nil {
		return nil, err
	}
	g.Target = s.spec.String()
	g.Kernel = strings.TrimSpace(s.kernel.Name() + " " + s.kernel.Version())
	g.NameThreads(s.threadNames(ctx)...)
	return g, nil
}

// threadNames are the addresses and names of the threads there are; none where
// they cannot be read, which costs the trace only names.
func (s *Session) threadNames(ctx context.Context) []recording.ThreadName {
	threads, err := s.Threads(ctx)
	if err != nil {
		return nil
	}
	var names []recording.ThreadName
	for _, t := range threads {
		if t.Addr != 0 {
			names = append(names, recording.ThreadName{Address: t.Addr, Name: t.Name})
		}
	}
	return names
}

// Trace reads the trace buffer, or where the image has uktrace its rings. The
// guest's buffer is not changed.
func (s *Session) Trace(ctx context.Context) (*Trace, error) {
	g, err := s.traceGuest(ctx)
	if err != nil {
		return nil, err
	}
	t := &Trace{Guest: g, Slide: s.mapping.Slide}
	switch rings, err := s.rings(ctx); {
	case err == nil:
		t.Snapshot, err = ringSnapshot(ctx, rings, g.Definitions, t.Slide)
		if err != nil {
			return nil, err
		}
	case !errors.Is(err, ring.ErrNone):
		return nil, err
	default:
		loc, err := s.kernel.TraceBuffer()
		if err != nil {
			return nil, err
		}
		if t.Snapshot, err = tracebuf.Read(ctx, s.mem, loc); err != nil {
			return nil, err
		}
		if slide, ok := tracebuf.InferSlide(t.Snapshot.Data, g.Definitions); ok {
			t.Slide = slide
		}
	}
	t.Taken = time.Now()
	g.Buffer = t.Snapshot.Info.Size
	g.Instance = s.instance(ctx, t.Snapshot.Data)
	return t, nil
}

// instance names the guest run: by the VMM's own UUID or process where it is on
// this host. Elsewhere the same buffer of the same guest gives the same name, so
// that what is sent twice is seen to be the same.
func (s *Session) instance(ctx context.Context, records []byte) string {
	if id := s.vmmIdentity(ctx); id != "" {
		return id
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%x", s.spec, s.image.ContentHash(), records[:min(64, len(records))])
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Source gives the trace's records.
func (t *Trace) Source() stream.Source {
	head := recording.Data{Slide: t.Slide}
	if !t.Taken.IsZero() {
		head.Before = t.Taken.UnixNano()
	}
	return stream.NewSnapshot(t.Guest, head, t.Snapshot.Data)
}
