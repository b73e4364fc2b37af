package parquet

import (
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Numbers of parquet.thrift.
const (
	encodingPlain = 0
	encodingRLE   = 3
	codecZstd     = 6
	pageData      = 0
	required      = 0
	optional      = 1
	convertedUTF8 = 0
	convertedU64  = 14
	convertedJSON = 19
)

const magic = "PAR1"

// groupRows is how many rows are kept before they are written.
const groupRows = 1 << 16

// groupBytes bounds what they may take before that.
const groupBytes = 8 << 20

// chunk is where a column of a row group lies.
type chunk struct {
	offset, size, raw int64
	values            int
}

type group struct {
	rows   int
	chunks []chunk
}

// file writes row groups and remembers where they are; its first failure stays
// in err.
type file struct {
	w       io.Writer
	err     error
	pos     int64
	columns []*column
	groups  []group
	rows    int64
	zstd    *zstd.Encoder
	page    []byte
	packed  []byte
}

func newFile(w io.Writer, columns []*column) (*file, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	f := &file{w: w, columns: columns, zstd: enc}
	f.write([]byte(magic))
	return f, nil
}

func (f *file) write(b []byte) {
	if f.err == nil {
		_, f.err = f.w.Write(b)
	}
	f.pos += int64(len(b))
}

// row is called after each row.
func (f *file) row() error {
	size := 0
	for _, c := range f.columns {
		size += len(c.values)
	}
	if f.columns[0].rows == groupRows || size > groupBytes {
		f.flush()
	}
	return f.err
}

// flush writes the rows collected as a row group: one page a column.
func (f *file) flush() {
	rows := f.columns[0].rows
	if rows == 0 {
		return
	}
	g := group{rows: rows}
	for _, c := range f.columns {
		f.page = c.page(f.page[:0])
		f.packed = f.zstd.EncodeAll(f.page, f.packed[:0])
		head := pageHeader(c, len(f.page), len(f.packed))
		g.chunks = append(g.chunks, chunk{
			offset: f.pos, size: int64(len(head) + len(f.packed)), raw: int64(len(head) + len(f.page)), values: c.rows,
		})
		f.write(head)
		f.write(f.packed)
		c.reset()
	}
	f.groups = append(f.groups, g)
	f.rows += int64(rows)
}

func pageHeader(c *column, raw, packed int) []byte {
	var t thrift
	t.element(func() {
		t.i32(1, pageData)
		t.i32(2, int32(raw))
		t.i32(3, int32(packed))
		t.structure(5, func() {
			t.i32(1, int32(c.rows))
			t.i32(2, encodingPlain)
			t.i32(3, encodingRLE)
			t.i32(4, encodingRLE)
		})
	})
	return t.b
}

// close writes the last rows and the footer.
func (f *file) close() error {
	f.flush()
	var t thrift
	t.element(func() {
		t.i32(1, 2)
		t.list(2, tStruct, 1+len(f.columns))
		t.element(func() {
			t.text(4, "trace")
			t.i32(5, int32(len(f.columns)))
		})
		for _, c := range f.columns {
			t.element(func() { c.describe(&t) })
		}
		t.i64(3, f.rows)
		t.list(4, tStruct, len(f.groups))
		for _, g := range f.groups {
			t.element(func() { f.describe(&t, g) })
		}
		t.text(6, "ukdbg")
	})
	f.write(t.b)
	f.write(binary.LittleEndian.AppendUint32(nil, uint32(len(t.b))))
	f.write([]byte(magic))
	return f.err
}

// describe writes the column's SchemaElement.
func (c *column) describe(t *thrift) {
	t.i32(1, c.physical)
	repetition := int32(required)
	if c.optional {
		repetition = optional
	}
	t.i32(3, repetition)
	t.text(4, c.name)
	// The converted type is for readers older than logical types.
	switch c.logical {
	case textual:
		t.i32(6, convertedUTF8)
		t.structure(10, func() { t.structure(1, func() {}) })
	case jsonText:
		t.i32(6, convertedJSON)
		t.structure(10, func() { t.structure(12, func() {}) })
	case unsigned:
		t.i32(6, convertedU64)
		t.structure(10, func() {
			t.structure(10, func() {
				t.field(1, tByte)
				t.b = append(t.b, 64)
				t.boolean(2, false)
			})
		})
	case timestamp:
		t.structure(10, func() {
			t.structure(8, func() {
				t.boolean(1, true)                                   // UTC
				t.structure(2, func() { t.structure(3, func() {}) }) // nanoseconds
			})
		})
	}
}

// describe writes a RowGroup.
func (f *file) describe(t *thrift, g group) {
	total := int64(0)
	t.list(1, tStruct, len(g.chunks))
	for i, ch := range g.chunks {
		c := f.columns[i]
		total += ch.raw
		t.element(func() {
			t.i64(2, ch.offset)
			t.structure(3, func() {
				t.i32(1, c.physical)
				t.list(2, tI32, 2)
				t.b = binary.AppendVarint(t.b, encodingPlain)
				t.b = binary.AppendVarint(t.b, encodingRLE)
				t.list(3, tBinary, 1)
				t.bytes(c.name)
				t.i32(4, codecZstd)
				t.i64(5, int64(ch.values))
				t.i64(6, ch.raw)
				t.i64(7, ch.size)
				t.i64(9, ch.offset)
			})
		})
	}
	t.i64(2, total)
	t.i64(3, int64(g.rows))
}
