package asserts

import "bytes"

// origin is what the transport of a console says in front of a line.
type origin struct {
	// name tells the sources of a log apart that holds several: the service of
	// docker compose, the pod of kubectl, the host and unit of journald, the
	// domain of xl. "" if the line names none.
	name []byte
	// hypervisor: Xen's own line, "(XEN) ".
	hypervisor bool
	// partial: the rest of the line comes with the next one (CRI's P).
	partial bool
}

// stripPrefix takes the transport's prefix off a cleaned line. Prefixes nest: a
// CRI file of a container that runs kraft has both. Known are
//
//	web-1  | TEXT                                       docker compose
//	2026-11-22T07:00:00.123456789Z stdout F TEXT        CRI (P: to be joined)
//	2026-11-22T07:00:00.123456789Z TEXT                 docker logs -t, kubectl --timestamps
//	[pod/NAME/CONTAINER] TEXT                           kubectl --prefix
//	Nov 22 07:00:00 HOST UNIT[PID]: TEXT                journald, syslog
//	 i  TEXT                                            kraft (i, E, W, D)
//	(XEN) [2026-11-22 07:00:00] TEXT, (d3) TEXT         xl dmesg, Xen's console
func stripPrefix(b []byte) (body []byte, o origin) {
	const nesting = 4
	for range nesting {
		rest, ok := stripOne(b, &o)
		if !ok {
			break
		}
		b = rest
	}
	return b, o
}

func stripOne(b []byte, o *origin) (rest []byte, ok bool) {
	if len(b) < 4 {
		return b, false
	}
	switch c := b[0]; {
	case c == '(':
		return xenPrefix(b, o)
	case c == '[':
		return podPrefix(b, o)
	case c == ' ':
		return kraftPrefix(b)
	case c >= '0' && c <= '9':
		if rest, ok := stampPrefix(b, o); ok {
			return rest, true
		}
	case c >= 'A' && c <= 'Z':
		if rest, ok := syslogPrefix(b, o); ok {
			return rest, true
		}
	}
	return composePrefix(b, o)
}

// composePrefix takes "NAME  | ".
func composePrefix(b []byte, o *origin) ([]byte, bool) {
	i := 0
	for i < len(b) && i < maxName && (isAlnum(b[i]) || b[i] == '-' || b[i] == '_' || b[i] == '.') {
		i++
	}
	name := b[:i]
	j := i
	for j < len(b) && j < maxName && b[j] == ' ' {
		j++
	}
	if i == 0 || j == i || j >= len(b) || b[j] != '|' || j+1 < len(b) && b[j+1] != ' ' {
		return b, false
	}
	o.name = name
	return b[min(j+2, len(b)):], true
}

// stampPrefix takes an RFC 3339 time, and after it CRI's stream and tag or
// journald's short-iso host and unit.
func stampPrefix(b []byte, o *origin) ([]byte, bool) {
	const date = len("2026-11-22T07:00:00")
	if len(b) <= date || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return b, false
	}
	i := bytes.IndexByte(b[:min(len(b), 40)], ' ')
	if i < date {
		return b, false
	}
	b = b[i+1:]
	for _, stream := range [...]string{"stdout ", "stderr "} {
		if rest, ok := bytes.CutPrefix(b, []byte(stream)); ok && len(rest) > 0 && (rest[0] == 'F' || rest[0] == 'P') {
			if len(rest) == 1 || rest[1] == ' ' {
				o.partial = rest[0] == 'P'
				return rest[min(2, len(rest)):], true
			}
		}
	}
	// A text may have a colon behind its second word too: only what can be no
	// text is taken for a unit.
	if end := bytes.Index(b[:min(len(b), 2*maxName)], []byte(": ")); end > 0 && (b[end-1] == ']' || bytes.HasSuffix(b[:end], []byte(" kernel"))) {
		if rest, ok := unitPrefix(b, o); ok {
			return rest, true
		}
	}
	return b, true
}

// podPrefix takes "[pod/NAME/CONTAINER] ".
func podPrefix(b []byte, o *origin) ([]byte, bool) {
	if !bytes.HasPrefix(b, []byte("[pod/")) {
		return b, false
	}
	i := bytes.IndexByte(b[:min(len(b), 2*maxName)], ']')
	if i < 0 || i+1 >= len(b) || b[i+1] != ' ' {
		return b, false
	}
	o.name = b[1:i]
	return b[i+2:], true
}

// kraftPrefix takes the mark of kraft's own logger.
func kraftPrefix(b []byte) ([]byte, bool) {
	if b[2] != ' ' || b[3] != ' ' {
		return b, false
	}
	switch b[1] {
	case 'i', 'E', 'W', 'D', 'I', 'T':
		return b[4:], true
	}
	return b, false
}

// syslogPrefix takes "Nov 22 07:00:00 HOST UNIT[PID]: ".
func syslogPrefix(b []byte, o *origin) ([]byte, bool) {
	const date = len("Nov 22 07:00:00")
	if len(b) <= date || b[3] != ' ' || b[6] != ' ' || b[9] != ':' || b[12] != ':' || b[date] != ' ' {
		return b, false
	}
	return unitPrefix(b[date+1:], o)
}

// unitPrefix takes "HOST UNIT[PID]: ".
func unitPrefix(b []byte, o *origin) ([]byte, bool) {
	head := b[:min(len(b), 2*maxName)]
	host := bytes.IndexByte(head, ' ')
	end := bytes.Index(head, []byte(": "))
	if host < 1 || end < host+2 || bytes.IndexByte(head[host+1:end], ' ') >= 0 {
		return b, false
	}
	o.name = b[:end]
	return b[end+2:], true
}

// xenPrefix takes "(XEN) ", with a time or not, and "(d3) ".
func xenPrefix(b []byte, o *origin) ([]byte, bool) {
	if rest, ok := bytes.CutPrefix(b, []byte("(XEN) ")); ok {
		o.hypervisor = true
		o.name = nil
		if len(rest) > 0 && rest[0] == '[' && len(rest) > 21 && rest[5] == '-' {
			if i := bytes.IndexByte(rest[:min(len(rest), 40)], ']'); i > 0 {
				rest = bytes.TrimPrefix(rest[i+1:], []byte(" "))
			}
		}
		return rest, true
	}
	if b[1] != 'd' {
		return b, false
	}
	_, n := decimal(b[2:])
	if n == 0 || n > 5 || !bytes.HasPrefix(b[2+n:], []byte(") ")) {
		return b, false
	}
	o.name = b[1 : 2+n]
	return b[4+n:], true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
