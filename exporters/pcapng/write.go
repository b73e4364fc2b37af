package pcapng

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
)

// Link is what a packet begins with.
type Link uint16

const (
	// Ethernet packets begin with the two addresses and the type.
	Ethernet Link = 1
	// IP packets begin with the IP header, whose version is in it.
	IP Link = 101
)

// Direction is where a packet went, as the guest sees it.
type Direction uint8

const (
	// Unknown direction.
	Unknown Direction = iota
	// Inbound packets came to the guest, Outbound ones left it.
	Inbound
	Outbound
)

// Packet is one packet, or its beginning.
type Packet struct {
	// Interface names the guest's interface.
	Interface string
	Link      Link
	// Unix is when, in nanoseconds.
	Unix int64
	// Data is what is known of it, Length how long it was; less than Data or 0
	// for as long as Data.
	Data      []byte
	Length    uint32
	Direction Direction
	// Comment is shown with it, "" for none.
	Comment string
}

// Options say what the file tells of itself.
type Options struct {
	// Program is what wrote it, "" for nothing.
	Program string
}

// MaxInterfaces bounds the interfaces of a file; packets of further ones are an
// error.
const MaxInterfaces = 1 << 12

// Blocks and options.
const (
	sectionHeader   = 0x0a0d0d0a
	byteOrder       = 0x1a2b3c4d
	interfaceBlock  = 1
	enhancedPacket  = 6
	optionEnd       = 0
	optionComment   = 1
	sectionProgram  = 4
	interfaceName   = 2
	interfaceTimes  = 9 // resolution: a power of ten, negated
	packetFlags     = 2
	nanoseconds     = 9
	maxPacket       = 1 << 18 // what readers take
	maxOption       = 1 << 12
	flagInbound     = 1
	flagOutbound    = 2
	blockOverhead   = 12
	unknownSections = ^uint64(0) // the section's length
)

type device struct {
	name string
	link Link
}

type writer struct {
	w       *bufio.Writer
	devices map[device]uint32
	block   []byte
}

// Write writes the packets and returns how many there were.
func Write(w io.Writer, packets iter.Seq2[Packet, error], opt Options) (n int, err error) {
	p := &writer{w: bufio.NewWriterSize(w, 64<<10), devices: map[device]uint32{}}
	if n, err = p.all(packets, opt); err == nil {
		err = p.w.Flush()
	}
	if err != nil {
		return n, fmt.Errorf("writing pcapng: %w", err)
	}
	return n, nil
}

func (p *writer) all(packets iter.Seq2[Packet, error], opt Options) (n int, err error) {
	head := binary.LittleEndian.AppendUint32(p.block[:0], byteOrder)
	head = binary.LittleEndian.AppendUint16(head, 1) // version 1.0
	head = binary.LittleEndian.AppendUint16(head, 0)
	head = binary.LittleEndian.AppendUint64(head, unknownSections)
	if err := p.put(sectionHeader, endOptions(appendOption(head, sectionProgram, opt.Program))); err != nil {
		return 0, err
	}
	for pk, err := range packets {
		if err == nil {
			err = p.packet(&pk)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// put writes a block: its type, its length, the body, the length again.
func (p *writer) put(kind uint32, body []byte) error {
	p.block = body
	var b [8]byte
	binary.LittleEndian.PutUint32(b[:], kind)
	binary.LittleEndian.PutUint32(b[4:], uint32(blockOverhead+len(body)))
	for _, part := range [][]byte{b[:], body, b[4:]} {
		if _, err := p.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (p *writer) device(d device) (uint32, error) {
	id, ok := p.devices[d]
	if ok {
		return id, nil
	}
	if len(p.devices) == MaxInterfaces {
		return 0, fmt.Errorf("more than %d interfaces", MaxInterfaces)
	}
	id = uint32(len(p.devices))
	p.devices[d] = id
	b := binary.LittleEndian.AppendUint16(p.block[:0], uint16(d.link))
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, maxPacket)
	b = appendOption(b, interfaceName, d.name)
	b = appendOption(b, interfaceTimes, string([]byte{nanoseconds}))
	return id, p.put(interfaceBlock, endOptions(b))
}

func (p *writer) packet(pk *Packet) error {
	id, err := p.device(device{pk.Interface, pk.Link})
	if err != nil {
		return err
	}
	data := pk.Data[:min(len(pk.Data), maxPacket)]
	at := uint64(max(pk.Unix, 0))
	b := binary.LittleEndian.AppendUint32(p.block[:0], id)
	b = binary.LittleEndian.AppendUint32(b, uint32(at>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint32(b, max(pk.Length, uint32(len(data))))
	b = pad(append(b, data...))
	b = appendOption(b, optionComment, pk.Comment)
	if pk.Direction != Unknown {
		flags := uint32(flagInbound)
		if pk.Direction == Outbound {
			flags = flagOutbound
		}
		b = appendOption(b, packetFlags, string(binary.LittleEndian.AppendUint32(nil, flags)))
	}
	return p.put(enhancedPacket, endOptions(b))
}

// appendOption appends an option, none for an empty value.
func appendOption(b []byte, code uint16, value string) []byte {
	if value == "" {
		return b
	}
	value = value[:min(len(value), maxOption)]
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

func endOptions(b []byte) []byte { return append(b, optionEnd, 0, 0, 0) }

// pad fills up to a multiple of four; what a block begins with is one.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
