package series

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/wire"
	"github.com/ukdbg/ukdbg/profiler"
)

// Names of labels that every store understands alike.
const (
	LabelInstance = "instance"
	LabelHost     = "host"
	LabelImage    = "image"
)

// Label is a pair that tells a series from others.
type Label struct{ Name, Value string }

// Series is one profile with what it belongs to.
type Series struct {
	// Name is what was measured, in Prometheus' manner ("process_cpu"); see Name.
	Name string
	// Service is what runs, the service_name of Pyroscope.
	Service string
	Labels  []Label
	// From and Until are when the profile was taken.
	From, Until time.Time
	// Normalized says that addresses are those of the image's file: it runs where
	// it was linked, or what was added is taken off.
	Normalized bool
	// Pprof is the profile, gzipped as pprof files are.
	Pprof []byte
}

// Name is the usual name of a kind of profiles.
func Name(k profiler.Kind) string {
	switch k {
	case profiler.CPU:
		return "process_cpu"
	case profiler.Heap:
		return "memory"
	case profiler.Lock:
		return "mutex"
	}
	return string(k)
}

// ErrMalformed says that a payload is not one of this package.
var ErrMalformed = errors.New("not a batch of profile series")

// Fields of the payload and of a series in it.
const (
	payloadSeries = 1

	fieldName       = 1
	fieldService    = 2
	fieldLabel      = 3
	fieldFrom       = 4
	fieldUntil      = 5
	fieldNormalized = 6
	fieldPprof      = 7

	labelName  = 1
	labelValue = 2
)

// Batch returns the series as one batch.
func Batch(all ...Series) delivery.Batch {
	var b []byte
	for i := range all {
		b = wire.AppendBytes(b, payloadSeries, all[i].encode())
	}
	return delivery.Batch{Signal: delivery.Profiles, Items: len(all), Payload: b}
}

func (s *Series) encode() []byte {
	b := wire.AppendString(nil, fieldName, s.Name)
	b = wire.AppendString(b, fieldService, s.Service)
	for _, l := range s.Labels {
		b = wire.AppendBytes(b, fieldLabel, wire.AppendString(wire.AppendString(nil, labelName, l.Name), labelValue, l.Value))
	}
	b = wire.AppendFixed64(b, fieldFrom, uint64(s.From.UnixNano()))
	b = wire.AppendFixed64(b, fieldUntil, uint64(s.Until.UnixNano()))
	if s.Normalized {
		b = wire.AppendVarint(b, fieldNormalized, 1)
	}
	return wire.AppendBytes(b, fieldPprof, s.Pprof)
}

// Read returns the series of a payload; their bytes are parts of it.
func Read(payload []byte) ([]Series, error) {
	var all []Series
	err := wire.Fields(payload, func(f wire.Field) error {
		if f.Num != payloadSeries || f.Type != wire.Bytes {
			return ErrMalformed
		}
		s, err := decode(f.Bytes)
		all = append(all, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return all, nil
}

func decode(b []byte) (Series, error) {
	var s Series
	err := wire.Fields(b, func(f wire.Field) error {
		switch f.Num {
		case fieldName:
			s.Name = string(f.Bytes)
		case fieldService:
			s.Service = string(f.Bytes)
		case fieldLabel:
			var l Label
			err := wire.Fields(f.Bytes, func(f wire.Field) error {
				switch f.Num {
				case labelName:
					l.Name = string(f.Bytes)
				case labelValue:
					l.Value = string(f.Bytes)
				}
				return nil
			})
			s.Labels = append(s.Labels, l)
			return err
		case fieldFrom:
			s.From = time.Unix(0, int64(f.Value))
		case fieldUntil:
			s.Until = time.Unix(0, int64(f.Value))
		case fieldNormalized:
			s.Normalized = f.Value != 0
		case fieldPprof:
			s.Pprof = f.Bytes
		}
		return nil
	})
	return s, err
}

// maxLabel is how long a store lets a label's value be, in bytes.
const maxLabel = 2048

// Sorted returns the labels as stores want them: names of letters, digits and "_"
// that are not the store's own ("__…"), each once, in order, none without a value.
func (s *Series) Sorted() []Label {
	all := make([]Label, 0, len(s.Labels))
	for _, l := range s.Labels {
		value := strings.ToValidUTF8(l.Value, "\uFFFD")
		if len(value) > maxLabel {
			value = strings.ToValidUTF8(value[:maxLabel], "")
		}
		if value != "" {
			all = append(all, Label{labelNameOf(l.Name), value})
		}
	}
	slices.SortStableFunc(all, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b Label) bool { return a.Name == b.Name })
}

// labelNameOf makes a name that Prometheus takes.
func labelNameOf(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	if strings.HasPrefix(name, "__") {
		name = "label" + name
	}
	return name
}

// ID returns a UUID (RFC 9562, version 8) made of the profile's bytes: one that is
// sent twice has the same.
func (s *Series) ID() string {
	h := sha256.New()
	h.Write(s.encode())
	u := h.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
