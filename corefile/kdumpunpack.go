package corefile

import (
	"bytes"
	"compress/zlib" // klauspost's allocates at each start
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// How a page is packed: flags of its descriptor (makedumpfile diskdump_mod.h).
const (
	packedZlib   = 1
	packedLZO    = 2
	packedSnappy = 4
	packedZstd   = 0x20
	packedAny    = packedZlib | packedLZO | packedSnappy | packedZstd
)

// unpackers unpack pages one after another. The zero value is ready.
type unpackers struct {
	zlib io.ReadCloser
	zstd *zstd.Decoder
}

var errPageSize = errors.New("it does not unpack to a page")

// page unpacks one page of the given size, into memory of its own.
func (u *unpackers) page(flags uint32, raw []byte, size int) (page []byte, err error) {
	switch flags & packedAny {
	case 0:
		page = raw
	case packedZlib:
		page, err = u.inflate(raw, size)
	case packedLZO:
		page, err = unpackLZO(raw, size)
	case packedSnappy:
		n, lerr := s2.DecodedLen(raw)
		if lerr != nil || n != size {
			return nil, errPageSize
		}
		page, err = s2.Decode(make([]byte, size), raw)
	case packedZstd:
		if u.zstd == nil {
			if u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20)); err != nil {
				return nil, err
			}
		}
		page, err = u.zstd.DecodeAll(raw, make([]byte, 0, size))
	default:
		return nil, fmt.Errorf("its packing %#x is not known", flags)
	}
	if err == nil && len(page) != size {
		err = errPageSize
	}
	return page, err
}

func (u *unpackers) inflate(raw []byte, size int) ([]byte, error) {
	var err error
	if z, ok := u.zlib.(zlib.Resetter); ok {
		err = z.Reset(bytes.NewReader(raw), nil)
	} else {
		u.zlib, err = zlib.NewReader(bytes.NewReader(raw))
	}
	if err != nil {
		u.zlib = nil
		return nil, err
	}
	page := make([]byte, size)
	if _, err := io.ReadFull(u.zlib, page); err != nil {
		return nil, err
	}
	return page, nil
}
