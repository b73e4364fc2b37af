package recording

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"
)

// Version is the version of the format that is written, and the highest that
// is read.
const Version = 1

// Format is what Start.Format holds in every recording.
const Format = "ukdbg trace recording"

// MaxBody bounds a block's contents in bytes, before and after compression.
const MaxBody = 16 << 20

const (
	blockMagic  = 0x62744b55 // "UKtb"
	headerBytes = 32
)

// Kind says what a block holds. Readers skip kinds they do not know.
type Kind uint8

const (
	// KindBad is no block: a stretch of bytes that could not be read.
	KindBad Kind = 0
	// KindStart opens a guest run: JSON, Start.
	KindStart Kind = 1
	// KindDefinitions is the image's section .uk_tracepoints_list as it is.
	KindDefinitions Kind = 2
	// KindSegment opens a stretch of the guest's clock: JSON, Segment.
	KindSegment Kind = 3
	// KindData is records: Data, then the buffer's bytes.
	KindData Kind = 4
	// KindLost says that records are missing: Lost.
	KindLost Kind = 5
	// KindThreads names threads: JSON, Threads.
	KindThreads Kind = 6
	// KindEnd closes a recording that was not cut: JSON, End.
	KindEnd Kind = 7
)

func (k Kind) String() string {
	names := [...]string{"bad", "start", "definitions", "segment", "data", "lost", "threads", "end"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", k)
}

type codec uint8

const (
	plain codec = 0
	zstdC codec = 1
)

// Block is one block as it is stored.
type Block struct {
	Kind Kind
	// Source tells the guests of one file apart.
	Source uint16
	// Number counts the blocks of a source from 0; a gap means that one is
	// missing.
	Number uint64
	// Offset is where the block starts in the file, Size how long it is there.
	Offset, Size int64
	// Reason says why the bytes of a KindBad are no block.
	Reason string
	// Cut: a KindBad that reaches to the end, as a recorder that was killed
	// leaves it.
	Cut bool

	codec  codec
	raw    uint32 // bytes of the body when decompressed
	stored []byte
}

var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }

// header encodes a block's header: docs/trace-recording.md.
func header(dst []byte, b *Block) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, blockMagic)
	dst = append(dst, byte(b.Kind), byte(b.codec))
	dst = binary.LittleEndian.AppendUint16(dst, b.Source)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b.stored)))
	dst = binary.LittleEndian.AppendUint32(dst, b.raw)
	dst = binary.LittleEndian.AppendUint64(dst, b.Number)
	dst = binary.LittleEndian.AppendUint32(dst, checksum(b.stored))
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[at:]))
}

// parseHeader reads a header and returns how many bytes follow it and their
// checksum, or says why it is none.
func parseHeader(h []byte, b *Block) (stored, sum uint32, reason string) {
	if binary.LittleEndian.Uint32(h) != blockMagic {
		return 0, 0, "no block starts here"
	}
	if checksum(h[:28]) != binary.LittleEndian.Uint32(h[28:]) {
		return 0, 0, "the checksum of the block's header is wrong"
	}
	b.Kind, b.codec = Kind(h[4]), codec(h[5])
	b.Source = binary.LittleEndian.Uint16(h[6:])
	stored = binary.LittleEndian.Uint32(h[8:])
	b.raw = binary.LittleEndian.Uint32(h[12:])
	b.Number = binary.LittleEndian.Uint64(h[16:])
	switch {
	case stored > MaxBody+dataBytes || b.raw > MaxBody:
		return 0, 0, fmt.Sprintf("the block claims %d bytes, more than a block may have", max(stored, b.raw))
	case b.Kind == KindBad:
		return 0, 0, "the block is of no kind"
	case b.codec > zstdC:
		return 0, 0, fmt.Sprintf("the block is compressed in an unknown way (%d)", b.codec)
	case b.Kind == KindData && stored < dataBytes:
		return 0, 0, "a data block without its head"
	}
	return stored, binary.LittleEndian.Uint32(h[24:]), ""
}
