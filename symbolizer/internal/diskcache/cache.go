package diskcache

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"sync"
	"time"
)

// Key names the content that values are made of.
type Key [32]byte

// Cache holds the values of one key. It may be used by many goroutines.
type Cache struct {
	dir Dir
	key Key

	mu     sync.Mutex
	data   []byte // the mapped file, nil if there is none
	have   []value
	offers []offer
}

// value is one value of the file; checked once it was found sound, or is cleared.
type value struct {
	name    string
	data    []byte
	sum     uint32
	checked bool
}

type offer struct {
	name string
	make func() []byte
}

// Format of a file, little-endian:
//
//	header     magic "ukdbgCA" and the format's version, 8 bytes; key, 32; number
//	           of values, u32; CRC-32 (IEEE) of all before, and of the directory, u32
//	directory  for each value: name, 24 bytes padded with NULs; offset from the
//	           start of the file, u64; size, u64; CRC-32 of it, u32; 0, u32
//	values     each aligned to 64 bytes
const (
	magic      = "ukdbgCA\x01"
	headerSize = 48
	entrySize  = 48
	nameSize   = 24
	align      = 64
	maxValues  = 16
)

// Open opens the cache of a key. Where there is none that can be used it is
// empty.
func (d Dir) Open(key Key) *Cache {
	c := &Cache{dir: d, key: key}
	if d.Path != "" {
		c.load()
	}
	return c
}

func (c *Cache) load() {
	f, err := os.OpenFile(c.dir.file(c.key), os.O_RDONLY|noLink, 0)
	if err != nil {
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || !private(st) || st.Size() < headerSize || st.Size() > maxFile {
		return
	}
	data, err := mapFile(f, int(st.Size()))
	if err != nil {
		return
	}
	have, ok := directory(data, c.key)
	if !ok {
		_ = unmap(data)
		return
	}
	c.data, c.have = data, have
	// Eviction goes by use. A day is exact enough, and spares most runs the write.
	if now := time.Now(); now.Sub(st.ModTime()) > 24*time.Hour {
		_ = os.Chtimes(f.Name(), now, now) // only the order of eviction suffers
	}
}

// directory reads the head of a file.
func directory(data []byte, key Key) ([]value, bool) {
	if len(data) < headerSize || string(data[:8]) != magic || !bytes.Equal(data[8:40], key[:]) {
		return nil, false
	}
	n := int(binary.LittleEndian.Uint32(data[40:]))
	if n > maxValues || headerSize+n*entrySize > len(data) {
		return nil, false
	}
	if headSum(data[:headerSize+n*entrySize]) != binary.LittleEndian.Uint32(data[44:]) {
		return nil, false
	}
	out := make([]value, n)
	for i := range out {
		e := data[headerSize+i*entrySize:][:entrySize]
		name, _, _ := bytes.Cut(e[:nameSize], []byte{0})
		off, size := binary.LittleEndian.Uint64(e[24:]), binary.LittleEndian.Uint64(e[32:])
		if off > uint64(len(data)) || size > uint64(len(data))-off {
			return nil, false
		}
		out[i] = value{name: string(name), data: data[off : off+size : off+size], sum: binary.LittleEndian.Uint32(e[40:])}
	}
	return out, true
}

// headSum is the checksum of header and directory without itself.
func headSum(head []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(head[:44]), crc32.IEEETable, head[headerSize:])
}

// Get returns a value, nil if there is none. It must not be changed, nor used
// after Close.
func (c *Cache) Get(name string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.have {
		v := &c.have[i]
		if v.name != name {
			continue
		}
		if !v.checked {
			v.checked = true
			if crc32.ChecksumIEEE(v.data) != v.sum {
				v.data = nil
			}
		}
		return v.data
	}
	return nil
}

// Offer gives a value to be kept. It is made when the cache is flushed, and
// dropped if produce returns nil.
func (c *Cache) Offer(name string, produce func() []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(name) <= nameSize && len(c.offers) < maxValues {
		c.offers = append(c.offers, offer{name, produce})
	}
}

// Flush makes and writes what was offered. An error says that nothing was kept;
// nothing else depends on it.
func (c *Cache) Flush() error {
	c.mu.Lock()
	offers := c.offers
	c.offers = nil
	c.mu.Unlock()
	return c.write(offers)
}

// Close is Flush, and ends the use of values.
func (c *Cache) Close() error {
	err := c.Flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.data != nil {
		_ = unmap(c.data) // it is a mapping
	}
	c.data, c.have = nil, nil
	return err
}
