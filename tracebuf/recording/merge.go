package recording

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// MergeStats counts what was merged.
type MergeStats struct {
	Blocks, Sources int
	// Damaged is the bytes that were left out.
	Damaged int64
}

// Merge writes the recordings as one: each guest run becomes a source of its
// own, all are opened at the beginning, and data follows in the order of the
// host's time. Memory is that of a block for each input.
func Merge(w io.Writer, in ...io.Reader) (MergeStats, error) {
	m := &merger{w: w}
	for _, r := range in {
		m.inputs = append(m.inputs, &mergeInput{r: NewReader(r), sources: map[uint16]*Writer{}})
	}
	// What opens the guest runs comes first, so that a reader knows how many
	// there are before the first record.
	for _, i := range m.inputs {
		if err := m.begin(i); err != nil {
			return m.stats, err
		}
	}
	for {
		var next *mergeInput
		for _, i := range m.inputs {
			if i.more && (next == nil || i.time < next.time) {
				next = i
			}
		}
		if next == nil {
			return m.stats, nil
		}
		if err := m.copy(next); err != nil {
			return m.stats, err
		}
		if err := m.advance(next); err != nil {
			return m.stats, err
		}
	}
}

type merger struct {
	w      io.Writer
	inputs []*mergeInput
	stats  MergeStats
}

type mergeInput struct {
	r       *Reader
	sources map[uint16]*Writer
	block   Block
	time    int64 // of the block on the host's clock
	more    bool
}

// begin copies an input's blocks up to its first data.
func (m *merger) begin(i *mergeInput) error {
	i.time = math.MinInt64
	for {
		if err := m.advance(i); err != nil {
			return err
		}
		if !i.more || i.block.Kind == KindData || i.block.Kind == KindLost {
			return nil
		}
		if err := m.copy(i); err != nil {
			return err
		}
	}
}

// advance reads an input's next good block.
func (m *merger) advance(i *mergeInput) error {
	for {
		b, err := i.r.Next()
		if errors.Is(err, io.EOF) {
			i.more = false
			return nil
		}
		if err != nil {
			return err
		}
		if b.Kind == KindBad {
			m.stats.Damaged += b.Size
			continue
		}
		i.block, i.more = b, true
		if b.Kind == KindData {
			if d := b.Data(); d.After != 0 {
				i.time = max(i.time, d.After)
			} else if d.Before != 0 {
				i.time = max(i.time, d.Before-int64(min(d.Last-min(d.First, d.Last), math.MaxInt64)))
			}
		}
		return nil
	}
}

func (m *merger) copy(i *mergeInput) error {
	b := &i.block
	if b.Kind == KindStart {
		if m.stats.Sources > math.MaxUint16 {
			return fmt.Errorf("merging: more than %d guest runs", m.stats.Sources)
		}
		i.sources[b.Source] = NewWriter(m.w, uint16(m.stats.Sources))
		m.stats.Sources++
	}
	w := i.sources[b.Source]
	if w == nil {
		m.stats.Damaged += b.Size // of a source that was not opened
		return nil
	}
	m.stats.Blocks++
	return w.Copy(b)
}
