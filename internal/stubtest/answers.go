package stubtest

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// dispatch answers a packet.
func (s *Stub) dispatch(p string) {
	if s.Answer != nil {
		if reply, ok := s.Answer(p); ok {
			switch {
			case strings.HasPrefix(reply, "raw:"):
				s.write([]byte(reply[4:]))
			case reply != "none":
				s.send(reply)
			}
			return
		}
	}
	switch {
	case strings.HasPrefix(p, "qSupported"):
		s.send(s.Features)
	case p == "?":
		if s.Manners == LikeQEMU {
			s.breaks = map[string][]byte{}
		}
		s.send(s.StopText)
	case p == "QStartNoAckMode" && strings.Contains(s.Features, p):
		s.send("OK")
		s.acks = false
	case p == "qfThreadInfo":
		s.send(s.Threads)
	case p == "qsThreadInfo":
		s.send("l")
	case strings.HasPrefix(p, "qXfer:features:read:"):
		s.send(s.xfer(strings.TrimPrefix(p, "qXfer:features:read:")))
	case p == "g":
		s.send(hex.EncodeToString(s.Regs))
	case p[:1] == "G":
		b, err := hex.DecodeString(p[1:])
		if err != nil || len(b) != len(s.Regs) {
			s.send("E22")
			return
		}
		s.Regs = b
		s.send("OK")
	case p[:1] == "m":
		s.send(s.read(p))
	case p[:1] == "M":
		s.send(s.store(p))
	case (p[:1] == "Z" || p[:1] == "z") && !s.NoZ:
		s.send(s.breakpoint(p))
	case p[:1] == "H" && s.Threads != "":
		s.send("OK")
	case p == "vCont?" && s.Manners == LikeUnikraft:
		s.send("vCont;c;C;s;S")
	case p == "c" || p == "s" || strings.HasPrefix(p, "vCont;"):
		s.Running = true
	case p[:1] == "D" && s.Manners == LikeQEMU:
		if p != "D;1" {
			s.send("E22")
			return
		}
		s.Running = true
		s.send("OK")
	case p[:1] == "D" && s.Manners == Plain:
		s.Running = true
		s.send("OK")
	case p == "qqemu.sstepbits" && s.Manners == LikeQEMU:
		s.send("ENABLE=1,NOIRQ=2,NOTIMER=4")
	case p == "qqemu.PhyMemMode" && s.Manners == LikeQEMU:
		s.send("0")
	default:
		s.send("")
	}
}

func (s *Stub) xfer(rest string) string {
	annex, window, ok := strings.Cut(rest, ":")
	var off, n int
	if _, err := fmt.Sscanf(window, "%x,%x", &off, &n); err != nil || !ok {
		return "E00"
	}
	doc, ok := s.XML[annex]
	switch {
	case !ok || off > len(doc):
		return "E00"
	case len(doc)-off > n:
		return "m" + doc[off:off+n]
	case s.Manners == LikeUnikraft && off < len(doc):
		return "m" + doc[off:] // it never says l with data
	}
	return "l" + doc[off:]
}

// at returns the n bytes of memory at addr, fewer at its end.
func (s *Stub) at(addr uint64, n int) []byte {
	if addr < s.Base || addr >= s.Base+uint64(len(s.Mem)) {
		return nil
	}
	off := int(addr - s.Base)
	return s.Mem[off:min(off+n, len(s.Mem))]
}

func (s *Stub) read(p string) string {
	var addr uint64
	var n int
	if _, err := fmt.Sscanf(p, "m%x,%x", &addr, &n); err != nil {
		return "E22"
	}
	if s.MaxRead > 0 && n > s.MaxRead {
		if !s.Short {
			return "E22"
		}
		n = s.MaxRead
	}
	b := s.at(addr, n)
	if len(b) == 0 || len(b) < n && !s.Short {
		return s.Fault
	}
	return hex.EncodeToString(b)
}

func (s *Stub) store(p string) string {
	var addr uint64
	var n int
	head, data, _ := strings.Cut(p, ":")
	b, err := hex.DecodeString(data)
	if _, serr := fmt.Sscanf(head, "M%x,%x", &addr, &n); serr != nil || err != nil || len(b) != n {
		return "E22"
	}
	to := s.at(addr, n)
	copy(to, b)
	if len(to) < n && s.Manners != LikeUnikraft {
		return s.Fault
	}
	return "OK" // Unikraft says so even if it could not write
}

func (s *Stub) breakpoint(p string) string {
	if p[0] == 'z' {
		orig, ok := s.breaks[p[1:]]
		if !ok {
			return "E22"
		}
		delete(s.breaks, p[1:])
		var addr uint64
		if _, err := fmt.Sscanf(p, "z0,%x,", &addr); err == nil && s.ZPatch != "" {
			copy(s.at(addr, len(orig)), orig)
		}
		return "OK"
	}
	var addr uint64
	var orig []byte
	if _, err := fmt.Sscanf(p, "Z0,%x,", &addr); err == nil && s.ZPatch != "" {
		patch, herr := hex.DecodeString(s.ZPatch)
		if herr != nil {
			return "E22"
		}
		orig = append(orig, s.at(addr, len(patch))...)
		copy(s.at(addr, len(patch)), patch)
	}
	s.breaks[p[1:]] = orig
	return "OK"
}

// Served returns how many connections were served. Call it inside Do.
func (s *Stub) Served() int { return s.served }

// Breaks returns how many breakpoints are in.
func (s *Stub) Breaks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.breaks)
}
