package gdbstub

import (
	"strconv"
	"strings"
)

// features are the entries of a qSupported reply.
type features struct {
	list       []string
	packetSize int
}

// maxPacketSize bounds the packet size a stub may ask for.
const maxPacketSize = 256 << 10

func parseFeatures(reply []byte) features {
	f := features{list: strings.Split(string(reply[:min(len(reply), 4096)]), ";")}
	for _, e := range f.list {
		if v, ok := strings.CutPrefix(e, "PacketSize="); ok {
			if n, err := strconv.ParseUint(v, 16, 32); err == nil {
				f.packetSize = int(min(n, maxPacketSize))
			}
		}
	}
	return f
}

func (f features) has(name string) bool {
	for _, e := range f.list {
		if e == name {
			return true
		}
	}
	return false
}

// readsFeatures says that the stub describes its registers.
const readsFeatures = "qXfer:features:read+"

// onlyQEMUs reports whether the reply has all that QEMU's stub tells of a system
// it emulates and nothing else (gdbstub.c, handle_query_supported): no other
// stub is known to say just that.
func (f features) onlyQEMUs() bool {
	for _, e := range f.list {
		switch e {
		case readsFeatures, "vContSupported+", "multiprocess+", "ReverseStep+", "ReverseContinue+":
		default:
			if !strings.HasPrefix(e, "PacketSize=") {
				return false
			}
		}
	}
	return f.has("vContSupported+") && f.has("multiprocess+")
}

// few reports whether the reply has no entries but those every small stub has,
// Unikraft's among them.
func (f features) few() bool {
	for _, e := range f.list {
		if !strings.HasPrefix(e, "PacketSize=") && e != readsFeatures && e != "QStartNoAckMode+" {
			return false
		}
	}
	return f.packetSize > 0
}

// Sizes of memory reads in bytes.
const (
	defaultChunk = 512 // where the stub tells no packet size
	minChunk     = 64
)

// chunkSize is the largest read worth trying: its answer fills a packet without
// the framing, which is what gdb asks for too.
func chunkSize(f features) int {
	if f.packetSize == 0 {
		return defaultChunk
	}
	return max(minChunk, f.packetSize/2)
}
