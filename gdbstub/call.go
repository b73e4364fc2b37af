package gdbstub

// replyKind is how a reply is taken in.
type replyKind int

const (
	replyRaw     replyKind = iota // as it is
	replyHex                      // hex digits, decoded into dst
	replyStop                     // a stop reply, to "?"
	replyMonitor                  // O packets, then OK or hex
)

// maxMonitor bounds a monitor command's output in bytes.
const maxMonitor = 16 << 20

// call is one request in flight. The reading goroutine fills in the result
// under Client.mu; the owner reads it once done is set.
type call struct {
	kind replyKind
	dst  []byte // replyHex: where the bytes go
	tag  int    // the flow's own

	done  bool
	gone  bool   // the owner stopped waiting
	n     int    // replyHex: bytes decoded
	raw   []byte // replyRaw, replyMonitor
	code  string // "E14", if the stub refused
	empty bool   // the empty reply
	err   error  // of the link
}

// reset makes cl ready for another request and keeps its buffer.
func (cl *call) reset(kind replyKind) {
	*cl = call{kind: kind, raw: cl.raw[:0]}
}

// refused returns the stub's refusal or the link's error, nil if all is well.
// sent is the packet, for the message.
func (cl *call) refused(sent string) error {
	switch {
	case cl.err != nil:
		return cl.err
	case cl.code != "" || cl.empty:
		if len(sent) > 40 {
			sent = sent[:40] + "…"
		}
		return &StubError{Packet: sent, Code: cl.code}
	}
	return nil
}

// errorCode recognises "Exx" and "E.text" (GDB manual, E.2 "Standard
// Replies"). Hex data has an even length and so is never mistaken for it.
func errorCode(p []byte) (string, bool) {
	if len(p) < 3 || p[0] != 'E' {
		return "", false
	}
	if len(p) == 3 && isHexDigit(p[1]) && isHexDigit(p[2]) || p[1] == '.' {
		return string(p[:min(len(p), 200)]), true
	}
	return "", false
}

func isHexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
