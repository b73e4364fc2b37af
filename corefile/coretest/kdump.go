package coretest

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"sort"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// KdumpOptions say how a kdump file is written.
type KdumpOptions struct {
	// Pack is "zlib", "lzo", "snappy", "zstd", or "" for pages as they are.
	Pack string
	// Block is the page size in bytes, 4096 if 0.
	Block int
	// NoMachine leaves the machine's name out, as makedumpfile does where it
	// knows no kernel.
	NoMachine bool
	// Level is the dump level noted, and Without the page frames left out.
	Level   uint32
	Without map[uint64]bool
	// Status is added to the status word.
	Status uint32
	// VMCoreInfo is the text of that name.
	VMCoreInfo string
}

// Kdump returns the dump as a kdump file of version 6.
func (d Dump) Kdump(opt KdumpOptions) []byte {
	block := opt.Block
	if block == 0 {
		block = 4096
	}
	pages := map[uint64][]byte{}
	last := uint64(0)
	for _, s := range d.Memory {
		for off := 0; off < len(s.Data); off += block {
			page := make([]byte, block)
			copy(page, s.Data[off:])
			frame := (s.Phys + uint64(off)) / uint64(block)
			pages[frame] = page
			last = max(last, frame)
		}
	}
	frames := make([]uint64, 0, len(pages))
	for f := range pages {
		frames = append(frames, f)
	}
	sort.Slice(frames, func(i, j int) bool { return frames[i] < frames[j] })
	mapBlocks := (int(last)/8 + 1 + block - 1) / block
	notes := d.notes()

	le := binary.LittleEndian
	head := make([]byte, block)
	copy(head, "KDUMP   ")
	le.PutUint32(head[8:], 6)
	if !opt.NoMachine {
		name := "x86_64"
		if d.Machine == elf.EM_AARCH64 {
			name = "aarch64"
		}
		copy(head[272:], name)
	}
	status := map[string]uint32{"": 0, "zlib": 1, "lzo": 2, "snappy": 4, "zstd": 0x20}[opt.Pack]
	le.PutUint32(head[424:], status|opt.Status)
	le.PutUint32(head[428:], uint32(block))
	le.PutUint32(head[432:], 1)
	le.PutUint32(head[436:], uint32(2*mapBlocks))
	le.PutUint32(head[440:], uint32(last+1))
	bitmaps := make([]byte, 2*mapBlocks*block)
	var kept []uint64
	for _, f := range frames {
		bitmaps[f/8] |= 1 << (f % 8)
		if !opt.Without[f] {
			bitmaps[mapBlocks*block+int(f/8)] |= 1 << (f % 8)
			kept = append(kept, f)
		}
	}
	descs := (2 + 2*mapBlocks) * block
	noteAt := descs + 24*len(kept)
	infoAt := noteAt + len(notes)
	sub := make([]byte, block)
	le.PutUint32(sub[8:], opt.Level)
	le.PutUint64(sub[32:], uint64(infoAt))
	le.PutUint64(sub[40:], uint64(len(opt.VMCoreInfo)))
	le.PutUint64(sub[48:], uint64(noteAt))
	le.PutUint64(sub[56:], uint64(len(notes)))
	le.PutUint64(sub[96:], last+1)

	out := append(append(head, sub...), bitmaps...)
	var data []byte
	at := infoAt + len(opt.VMCoreInfo)
	for _, f := range kept {
		packed, flags := pack(opt.Pack, pages[f]), status
		if len(packed) >= block {
			packed, flags = pages[f], 0
		}
		out = le.AppendUint64(out, uint64(at+len(data)))
		out = le.AppendUint32(out, uint32(len(packed)))
		out = le.AppendUint32(out, flags)
		out = le.AppendUint64(out, 0)
		data = append(data, packed...)
	}
	out = append(append(out, notes...), opt.VMCoreInfo...)
	return append(out, data...)
}

func pack(how string, page []byte) []byte {
	switch how {
	case "zlib":
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, _ = z.Write(page) // a buffer takes all
		_ = z.Close()
		return b.Bytes()
	case "lzo":
		return LZO(page)
	case "snappy":
		return s2.EncodeSnappy(nil, page)
	case "zstd":
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // options that are constants
		}
		return z.EncodeAll(page, nil)
	}
	return page
}

// LZO packs data in the LZO1X format, poorly: runs of a byte become matches, all
// else literals.
func LZO(data []byte) []byte {
	var out []byte
	length := func(n, short int) { // n is at least 1
		for n -= short; n > 255; n -= 255 {
			out = append(out, 0)
		}
		out = append(out, byte(n))
	}
	for i := 0; i < len(data); {
		// Literals up to and with the first byte of a run of at least 40.
		end := i
		run := 0
		for end < len(data) {
			run = 1
			for end+run < len(data) && data[end+run] == data[end] {
				run++
			}
			if run >= 40 && end-i >= 4 {
				break
			}
			end += min(run, 40)
		}
		end = min(end, len(data))
		n := end - i
		if end < len(data) {
			n++
		} else {
			run = 0
		}
		switch {
		case i == 0 && n < 4:
			out = append(out, byte(17+n))
		case n < 19:
			out = append(out, byte(n-3))
		default:
			out = append(out, 0)
			length(n, 18)
		}
		out = append(out, data[i:i+n]...)
		i += n
		if run == 0 {
			break
		}
		// A match of the rest of the run but its last four bytes, distance 1,
		// and then, for the next literals, none of its own.
		m := run - 1
		out = append(out, 0x20)
		length(m, 33)
		out = append(out, 0, 0)
		i += m
		if i < len(data) && len(data)-i < 4 {
			// A run of literals has four bytes at least: three fit behind the
			// match.
			out[len(out)-2] |= byte(len(data) - i)
			out = append(out, data[i:]...)
			i = len(data)
		}
	}
	return append(out, 0x11, 0, 0)
}

// Flatten returns a file as makedumpfile -F writes it, in records of the given
// size, each third of which is written wrongly first.
func Flatten(file []byte, size int) []byte {
	out := make([]byte, 4096)
	copy(out, "makedumpfile")
	binary.BigEndian.PutUint64(out[16:], 1)
	binary.BigEndian.PutUint64(out[24:], 1)
	record := func(offset int, data []byte) {
		out = binary.BigEndian.AppendUint64(out, uint64(offset))
		out = binary.BigEndian.AppendUint64(out, uint64(len(data)))
		out = append(out, data...)
	}
	for off := 0; off < len(file); off += 3 * size {
		record(off, bytes.Repeat([]byte{0xee}, min(size, len(file)-off)))
	}
	for off := (len(file) - 1) / size * size; off >= 0; off -= size { // the last first
		record(off, file[off:min(off+size, len(file))])
	}
	return append(out, bytes.Repeat([]byte{0xff}, 16)...) // the end mark
}
