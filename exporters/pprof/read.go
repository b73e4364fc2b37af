package pprof

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters/wire"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
)

// Bounds of a profile that is read: its bytes, unpacked; its messages, strings and
// numbers, of which the smallest take two bytes of a file and a hundred of memory;
// and the frames of all samples, which may share one location of many lines.
const (
	maxRead     = 256 << 20
	maxElements = 1 << 21
	maxStacks   = 1 << 22
)

// ErrNoProfile says that a file is not a profile.
var ErrNoProfile = errors.New("not a profile of pprof's")

// Read reads a profile, gzip or not, of any program's: the first sample type is
// taken for the count, the last for the value. Labels other than those that Write
// writes are dropped.
func Read(r io.Reader) (*profiler.Profile, error) {
	in := bufio.NewReader(r)
	var src io.Reader = in
	if head, _ := in.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoProfile, err)
		}
		src = z
	}
	b, err := io.ReadAll(io.LimitReader(src, maxRead+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, new(flate.CorruptInputError)):
		return nil, fmt.Errorf("%w: it is cut off or damaged: %w", ErrNoProfile, err)
	case err != nil:
		return nil, fmt.Errorf("reading a profile: %w", err)
	case len(b) > maxRead:
		return nil, fmt.Errorf("%w: more than %d MiB", ErrNoProfile, maxRead>>20)
	case len(b) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrNoProfile)
	}
	d := decoder{locations: map[uint64]location{}, functions: map[uint64]function{}}
	if err := wire.Fields(b, d.collect); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoProfile, err)
	}
	p, err := d.profile()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoProfile, err)
	}
	return p, nil
}

// decoder keeps a profile's messages: each may name what comes later.
type decoder struct {
	strings   []string
	types     [][2]uint64 // name and unit
	samples   [][]byte
	mappings  [][]byte
	locations map[uint64]location
	functions map[uint64]function
	number    fields // of the profile itself
	comments  []uint64
	// elements and frames are how many there were so far.
	elements, frames int
}

// fields are the number fields of a message, by their numbers.
type fields [16]uint64

func (n *fields) set(f wire.Field) {
	if f.Type == wire.Varint && f.Num > 0 && int(f.Num) < len(n) {
		n[f.Num] = f.Value
	}
}

// errMany says that a profile has more in it than is read.
var errMany = fmt.Errorf("more than %d parts or %d frames", maxElements, maxStacks)

func (d *decoder) element() error {
	if d.elements++; d.elements > maxElements {
		return errMany
	}
	return nil
}

type location struct {
	address uint64
	lines   []line
}

type line struct {
	function uint64
	line     uint64
}

type function struct{ name, system, file uint64 }

// numbers returns the number fields of a message, the last of each.
func numbers(b []byte) (n fields, err error) {
	err = wire.Fields(b, func(f wire.Field) error {
		n.set(f)
		return nil
	})
	return n, err
}

func (d *decoder) collect(f wire.Field) error {
	if err := d.element(); err != nil {
		return err
	}
	switch f.Num {
	case profileSampleType:
		n, err := numbers(f.Bytes)
		d.types = append(d.types, [2]uint64{n[valueType], n[valueUnit]})
		return err
	case profileSample:
		d.samples = append(d.samples, f.Bytes)
	case profileMapping:
		d.mappings = append(d.mappings, f.Bytes)
	case profileLocation:
		return d.location(f.Bytes)
	case profileFunction:
		n, err := numbers(f.Bytes)
		d.functions[n[functionID]] = function{n[functionName], n[functionSystemName], n[functionFilename]}
		return err
	case profileStringTable:
		d.strings = append(d.strings, string(f.Bytes))
	case profileComment:
		if f.Type == wire.Bytes {
			return packed(f.Bytes, func(v uint64) error {
				d.comments = append(d.comments, v)
				return d.element()
			})
		}
		d.comments = append(d.comments, f.Value)
	default:
		d.number.set(f)
	}
	return nil
}

func (d *decoder) location(b []byte) error {
	var l location
	var id uint64
	err := wire.Fields(b, func(f wire.Field) error {
		switch f.Num {
		case locationID:
			id = f.Value
		case locationAddress:
			l.address = f.Value
		case locationLine:
			n, err := numbers(f.Bytes)
			l.lines = append(l.lines, line{n[lineFunctionID], n[lineLine]})
			return errors.Join(err, d.element())
		}
		return nil
	})
	d.locations[id] = l
	return err
}

// packed calls visit for each number of a packed field, until it returns an error.
func packed(b []byte, visit func(uint64) error) error {
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return wire.ErrMalformed
		}
		if err := visit(v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (d *decoder) str(n uint64) string {
	if n < uint64(len(d.strings)) {
		return d.strings[n]
	}
	return ""
}

func (d *decoder) profile() (*profiler.Profile, error) {
	if len(d.types) == 0 {
		return nil, errors.New("it names no sample types")
	}
	p := &profiler.Profile{
		Start: time.Unix(0, int64(d.number[profileTimeNanos])), Duration: time.Duration(d.number[profileDurationNanos]),
		Period: time.Duration(d.number[profilePeriod]), Kind: d.kind(),
	}
	for _, c := range d.comments {
		if text, ok := strings.CutPrefix(d.str(c), "warning: "); ok {
			p.Warnings = append(p.Warnings, text)
		}
	}
	for _, b := range d.mappings {
		m, err := numbers(b)
		if err != nil {
			return nil, err
		}
		p.Mappings = append(p.Mappings, profiler.Mapping{
			File: d.str(m[mappingFilename]), BuildID: d.str(m[mappingBuildID]), Start: m[mappingStart], Last: m[mappingLimit] - 1,
		})
	}
	for _, b := range d.samples {
		s, err := d.sample(b)
		if err != nil {
			return nil, err
		}
		p.Samples = append(p.Samples, s)
	}
	return p, nil
}

// kind tells the kind of profile from the name of its values.
func (d *decoder) kind() profiler.Kind {
	name := d.str(d.types[len(d.types)-1][0])
	for _, k := range []profiler.Kind{profiler.CPU, profiler.Wall, profiler.OffCPU, profiler.Heap, profiler.Lock} {
		if _, value := k.Units(); value.Name == name {
			return k
		}
	}
	return profiler.Kind(name)
}

func (d *decoder) sample(b []byte) (profiler.Sample, error) {
	s := profiler.Sample{CPU: profiler.NoCPU}
	var values []uint64
	var locations int
	err := wire.Fields(b, func(f wire.Field) error {
		switch f.Num {
		case sampleLocationID:
			visit := func(id uint64) error {
				if locations++; locations > maxFrames {
					return nil
				}
				return d.stack(&s, d.locations[id])
			}
			if f.Type == wire.Bytes {
				return packed(f.Bytes, visit)
			}
			return visit(f.Value)
		case sampleValue:
			if f.Type == wire.Bytes {
				return packed(f.Bytes, func(v uint64) error {
					values = append(values, v)
					return d.element()
				})
			}
			values = append(values, f.Value)
		case sampleLabel:
			n, err := numbers(f.Bytes)
			d.label(&s, &n)
			return err
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	if len(values) != len(d.types) {
		return s, fmt.Errorf("a sample has %d values, %d are named", len(values), len(d.types))
	}
	s.Count = int64(values[0])
	if len(values) > 1 {
		s.Value = int64(values[len(values)-1])
	}
	if n := len(s.Stack); n > 0 && s.Stack[n-1].Function == profiler.NotCaptured {
		s.Stack, s.Truncated = s.Stack[:n-1], true
	}
	return s, nil
}

// maxFrames bounds the locations of one sample.
const maxFrames = 1 << 14

// stack adds the frames of a location.
func (d *decoder) stack(s *profiler.Sample, l location) error {
	if d.frames += max(len(l.lines), 1); d.frames > maxStacks {
		return errMany
	}
	if len(l.lines) == 0 {
		s.Stack = append(s.Stack, profiler.Frame{Address: l.address})
		return nil
	}
	for i, ln := range l.lines {
		fn := d.functions[ln.function]
		name, guessed := strings.CutSuffix(d.str(fn.name), " (guessed)")
		s.Stack = append(s.Stack, profiler.Frame{
			Address: l.address, Function: name, Linkage: d.str(fn.system), File: d.str(fn.file), Line: int(ln.line),
			Inline: i < len(l.lines)-1, Guessed: guessed,
		})
	}
	return nil
}

func (d *decoder) label(s *profiler.Sample, n *fields) {
	text := d.str(n[labelStr])
	switch d.str(n[labelKey]) {
	case "thread":
		s.Thread.Name, s.Thread.Known = text, true
	case "thread_id":
		s.Thread.ID = int64(n[labelNum])
	case "cpu":
		s.CPU = target.CPU(n[labelNum])
	case "state":
		s.State = text
	case "idle":
		s.Thread.Idle = text == "true"
	}
}
