package diskcache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
)

// write makes the values offered and writes them, with those there are already.
func (c *Cache) write(offers []offer) error {
	if len(offers) == 0 || c.dir.Path == "" {
		return nil
	}
	var all []value
	for _, o := range offers {
		if b := o.make(); b != nil {
			all = append(all, value{name: o.name, data: b})
		}
	}
	if len(all) == 0 {
		return nil
	}
	fresh := len(all)
	for i := range c.have {
		old := c.have[i].name
		if b := c.Get(old); b != nil && len(all) < maxValues && !named(all[:fresh], old) {
			all = append(all, value{name: old, data: b})
		}
	}
	if err := c.dir.prepare(); err != nil {
		return err
	}
	path := c.dir.file(c.key)
	if err := writeFile(c.dir.Path, path, c.key, all); err != nil {
		return err
	}
	return c.dir.evict(path)
}

func named(all []value, name string) bool {
	for i := range all {
		if all[i].name == name {
			return true
		}
	}
	return false
}

var errTooBig = errors.New("more than a cache file may hold")

// writeFile writes a file aside and puts it in place.
func writeFile(dir, path string, key Key, all []value) (err error) {
	head := make([]byte, headerSize+len(all)*entrySize)
	copy(head, magic)
	copy(head[8:], key[:])
	binary.LittleEndian.PutUint32(head[40:], uint32(len(all)))
	end := uint64(len(head))
	for i, v := range all {
		end = (end + align - 1) &^ (align - 1)
		e := head[headerSize+i*entrySize:][:entrySize]
		copy(e[:nameSize], v.name)
		binary.LittleEndian.PutUint64(e[24:], end)
		binary.LittleEndian.PutUint64(e[32:], uint64(len(v.data)))
		binary.LittleEndian.PutUint32(e[40:], crc32.ChecksumIEEE(v.data))
		end += uint64(len(v.data))
	}
	if end > maxFile {
		return errTooBig
	}
	binary.LittleEndian.PutUint32(head[44:], headSum(head))
	f, err := os.CreateTemp(dir, "new-*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	at := int64(len(head))
	_, err = f.Write(head)
	for _, v := range all {
		if err != nil {
			break
		}
		pad := -at & (align - 1)
		if _, err = f.Write(make([]byte, pad)); err == nil {
			_, err = f.Write(v.data)
		}
		at += pad + int64(len(v.data))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// Not synced: what a crash of the machine leaves is found damaged.
	return os.Rename(f.Name(), path)
}
