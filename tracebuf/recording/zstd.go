package recording

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// decoder is made when first used, not when the program starts. It serves
// several goroutines.
var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxBody), zstd.WithDecoderLowmem(true))
})

// Body returns the block's contents, decompressed into the free room of dst
// where that helps. For a KindData it is the records after the head. Several
// goroutines may decode different blocks.
func (b *Block) Body(dst []byte) ([]byte, error) {
	stored := b.stored
	if b.Kind == KindData {
		stored = stored[dataBytes:]
	}
	if b.codec == plain {
		return stored, nil
	}
	d, err := decoder()
	if err != nil {
		return nil, err
	}
	if cap(dst) < int(b.raw) {
		dst = make([]byte, 0, b.raw)
	}
	out, err := d.DecodeAll(stored, dst[:0])
	if err == nil && len(out) != int(b.raw) {
		err = fmt.Errorf("%d bytes, its header says %d", len(out), b.raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%s block at offset %#x: decompressing: %w", b.Kind, b.Offset, err)
	}
	return out, nil
}

// Compressed tells whether Body makes new bytes, in dst where they fit, and not
// a view of the block.
func (b *Block) Compressed() bool { return b.codec != plain }

// Keep returns a copy of the block that stays valid after the reader's Next.
// spare is memory to use again, nil for none.
func (b *Block) Keep(spare []byte) Block {
	k := *b
	k.stored = append(spare[:0], b.stored...)
	return k
}

// Spare is the memory of a block made by Keep, for the next Keep.
func (b *Block) Spare() []byte { return b.stored }
