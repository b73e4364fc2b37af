package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

const (
	magic      = "UKSP"
	version    = 2
	headerSize = 32
	// maxPayload bounds one file: what receivers take in one request is smaller.
	maxPayload = 64 << 20
)

// encode makes the file of a batch.
func encode(b Batch) []byte {
	f := make([]byte, 8, headerSize+len(b.Payload))
	copy(f, magic)
	f = binary.LittleEndian.AppendUint32(f, version)
	f = binary.LittleEndian.AppendUint32(f, b.Kind)
	f = binary.LittleEndian.AppendUint64(f, uint64(b.Items))
	f = binary.LittleEndian.AppendUint64(f, uint64(len(b.Payload)))
	f = append(f, b.Payload...)
	binary.LittleEndian.PutUint32(f[4:], crc32.ChecksumIEEE(f[8:]))
	return f
}

// decode reads the file of a batch; the payload is a part of data.
func decode(data []byte) (Batch, error) {
	le := binary.LittleEndian
	if len(data) < headerSize || string(data[:4]) != magic || le.Uint32(data[4:]) != crc32.ChecksumIEEE(data[8:]) {
		return Batch{}, ErrDamaged
	}
	if v := le.Uint32(data[8:]); v != version {
		return Batch{}, fmt.Errorf("%w: version %d, not %d", ErrDamaged, v, version)
	}
	items, length := le.Uint64(data[16:]), le.Uint64(data[24:])
	if length != uint64(len(data)-headerSize) || items > math.MaxInt32 {
		return Batch{}, ErrDamaged
	}
	return Batch{Kind: le.Uint32(data[12:]), Items: int(items), Payload: data[headerSize:]}, nil
}
