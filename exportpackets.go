package ukdbg

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/pcapng"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// errNoPackets says what a packet's tracepoint looks like.
var errNoPackets = errors.New("no tracepoint carries packets: one has a string argument that its format calls frame (frame=%s, from the Ethernet header on) " +
	"or ip (ip=%s, from the IP header on), and may have the packet's whole length in an integer argument len")

// packetPoint is how a tracepoint carries a packet's bytes.
type packetPoint struct {
	bytes, length int // arguments; length is -1 for none
	link          pcapng.Link
	direction     pcapng.Direction
}

// findPacketPoints finds them among an image's tracepoints, by Definition.Index.
func findPacketPoints(defs *tracebuf.Definitions) map[int]packetPoint {
	points := map[int]packetPoint{}
	for _, d := range defs.All {
		p := packetPoint{bytes: -1, length: -1}
		for i, a := range d.Args {
			switch name := d.ArgName(i); {
			case a.Type == tracebuf.ArgString && (name == "frame" || name == "packet"):
				p.bytes, p.link = i, pcapng.Ethernet
			case a.Type == tracebuf.ArgString && name == "ip":
				p.bytes, p.link = i, pcapng.IP
			case a.Type == tracebuf.ArgInt && (name == "len" || name == "length"):
				p.length = i
			}
		}
		if p.bytes >= 0 {
			p.direction = packetDirection(d.Name)
			points[d.Index] = p
		}
	}
	return points
}

// packetDirection is told by a word of the tracepoint's name.
func packetDirection(name string) pcapng.Direction {
	for word := range strings.SplitSeq(name, "_") {
		switch word {
		case "rx", "recv", "receive", "input", "in":
			return pcapng.Inbound
		case "tx", "xmit", "send", "output", "out":
			return pcapng.Outbound
		}
	}
	return pcapng.Unknown
}

// packets are those in the records that the query chose.
func (m *model) packets() iter.Seq2[pcapng.Packet, error] {
	points := map[*stream.Guest]map[int]packetPoint{}
	return func(yield func(pcapng.Packet, error) bool) {
		err := m.run(analysis.Visitor{Record: func(s *analysis.Seen) error {
			known, ok := points[s.Guest]
			if !ok {
				known = findPacketPoints(s.Guest.Definitions)
				points[s.Guest] = known
			}
			p, ok := known[s.Rec.Def.Index]
			if !ok {
				return nil
			}
			pk := pcapng.Packet{
				Interface: s.Guest.Label(), Link: p.link, Unix: s.Unix(), Data: s.Rec.Bytes(p.bytes), Direction: p.direction, Comment: s.Rec.Def.Name,
			}
			if pk.Unix == 0 {
				pk.Unix = int64(s.Rec.Time) // since boot, where the host's time is not known
			}
			if p.length >= 0 {
				pk.Length = uint32(min(s.Rec.Uint(p.length), 1<<30))
			}
			if name := s.Thread(); name != "" {
				pk.Comment += " in " + name
			}
			if !yield(pk, nil) {
				return errStop
			}
			return nil
		}})
		if err != nil && !errors.Is(err, errStop) {
			yield(pcapng.Packet{}, err)
		}
	}
}

func writePackets(m *model, w io.Writer) error {
	some := false
	for _, g := range m.guests {
		some = some || len(findPacketPoints(g.Definitions)) > 0
	}
	if !some {
		return fmt.Errorf("pcapng: %w", errNoPackets)
	}
	_, err := pcapng.Write(w, m.packets(), pcapng.Options{Program: "ukdbg"})
	return err
}
