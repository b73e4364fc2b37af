package wire

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// What is written is, byte for byte, what protobuf's own library writes.
func TestAsProtowire(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 300, math.MaxInt64, math.MaxUint64} {
		for _, num := range []int32{1, 15, 16, 2047, 2048, 1<<29 - 1} {
			number := protowire.Number(num)
			got := AppendVarint(nil, num, v)
			if want := protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v); !bytes.Equal(got, want) {
				t.Errorf("field %d, varint %d: % x, want % x", num, v, got, want)
			}
			got = AppendFixed64(nil, num, v)
			if want := protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), v); !bytes.Equal(got, want) {
				t.Errorf("field %d, fixed64 %d: % x, want % x", num, v, got, want)
			}
			packed := protowire.AppendVarint(protowire.AppendVarint(nil, v), 5)
			got = AppendPacked(nil, num, []uint64{v, 5})
			if want := protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), packed); !bytes.Equal(got, want) {
				t.Errorf("field %d, packed %d: % x, want % x", num, v, got, want)
			}
		}
	}
	got := AppendString(nil, 6, "a\xff\xfeb")
	if want := protowire.AppendString(protowire.AppendTag(nil, 6, protowire.BytesType), "a\uFFFDb"); !bytes.Equal(got, want) {
		t.Errorf("string % x, want % x", got, want)
	}
	long := bytes.Repeat([]byte{7}, 300)
	if got, want := AppendBytes(nil, 6, long), protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType), long); !bytes.Equal(got, want) {
		t.Errorf("bytes % x, want % x", got, want)
	}
}

// FuzzFields: what is read is what protobuf's own library reads, and what it
// refuses is refused.
func FuzzFields(f *testing.F) {
	f.Add(AppendString(AppendVarint(nil, 1, 300), 2, "text"))
	f.Add(AppendFixed64(nil, 3, 1<<63))
	f.Add(protowire.AppendFixed32(protowire.AppendTag(nil, 4, protowire.Fixed32Type), 9))
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{0x0b, 0x0c})
	f.Add([]byte{0x80, 0xda, 0xbe, 0xb0, 0x22, 0x34, 0x8a})
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		err := Fields(data, func(f Field) error {
			num, typ, n := protowire.ConsumeTag(rest)
			if n < 0 || int32(num) != f.Num || uint8(typ) != uint8(f.Type) {
				t.Fatalf("field %d of type %d, protowire: %d of %d, %v", f.Num, f.Type, num, typ, protowire.ParseError(n))
			}
			rest = rest[n:]
			var v uint64
			var b []byte
			switch typ {
			case protowire.VarintType:
				v, n = protowire.ConsumeVarint(rest)
			case protowire.Fixed64Type:
				v, n = protowire.ConsumeFixed64(rest)
			case protowire.Fixed32Type:
				var small uint32
				small, n = protowire.ConsumeFixed32(rest)
				v = uint64(small)
			default:
				b, n = protowire.ConsumeBytes(rest)
			}
			if n < 0 || v != f.Value || !bytes.Equal(b, f.Bytes) {
				t.Fatalf("field %d is %d, % x, protowire: %d, % x, %v", f.Num, f.Value, f.Bytes, v, b, protowire.ParseError(n))
			}
			rest = rest[n:]
			return nil
		})
		if (err == nil) != (len(rest) == 0) {
			t.Fatalf("%v with % x left", err, rest)
		}
		if err == nil {
			return
		}
		// Groups and numbers above the largest there is are refused here and read there.
		if num, typ, n := protowire.ConsumeTag(rest); n > 0 && num <= protowire.MaxValidNumber && typ != protowire.StartGroupType && typ != protowire.EndGroupType && protowire.ConsumeFieldValue(num, typ, rest[n:]) >= 0 {
			t.Fatalf("refused field %d of type %d: % x", num, typ, rest)
		}
	})
}
