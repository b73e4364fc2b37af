package qmp

import (
	"bytes"
	"fmt"
	"strings"
)

// prompt ends what HMP prints.
const prompt = "(qemu) "

// maxText bounds what one HMP command prints.
const maxText = 16 << 20

// readGreeting tells the protocol by the first bytes: QMP greets with an object,
// HMP with "QEMU 7.2.22 monitor - …" and a prompt.
func (c *Conn) readGreeting() error {
	first, err := c.in.Peek(1)
	if err != nil {
		return linkError(err)
	}
	if first[0] == '{' {
		return c.greetedByQMP()
	}
	if first[0] == 'H' { // HTTP ends with no prompt
		return fmt.Errorf("%w: it begins with %q", ErrNoMonitor, first)
	}
	text, err := c.untilPrompt(0)
	if err != nil {
		return err
	}
	// What a client that was killed did not read comes first, here too.
	for line := range strings.Lines(strings.ReplaceAll(text, prompt, "\n")) {
		if words := strings.Fields(line); len(words) >= 3 && words[0] == "QEMU" && words[2] == "monitor" {
			c.proto, c.version = HMP, words[1]
			return nil
		}
	}
	return fmt.Errorf("%w: it begins with %.60q", ErrNoMonitor, text)
}

// maxLeft bounds what a monitor sends before its greeting.
const maxLeft = 64

// greetedByQMP reads QMP's greeting. QEMU sends what a client that was killed did
// not read to the next one, first.
func (c *Conn) greetedByQMP() error {
	for range maxLeft {
		m, err := readMessage(c.in)
		if err != nil {
			return err
		}
		if m.Greeting != nil {
			v := m.Greeting.Version.QEMU
			c.proto, c.version = QMP, fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
			return nil
		}
		if m.Return == nil && m.Error == nil && m.Name == "" {
			break
		}
	}
	return fmt.Errorf("%w: it greets with JSON that is no QMP greeting", ErrNoMonitor)
}

// human runs a line on an HMP monitor, which echoes it first.
func (c *Conn) human(line string) (string, error) {
	if _, err := c.link.Write([]byte(line + "\n")); err != nil {
		return "", linkError(err)
	}
	return c.untilPrompt(1)
}

// untilPrompt reads up to a prompt that begins a line and ends what has come so
// far, and drops the first lines, which are the echo.
func (c *Conn) untilPrompt(echo int) (string, error) {
	var raw []byte
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			return "", linkError(err)
		}
		if len(raw) == maxText {
			return "", errTooLong
		}
		raw = append(raw, b)
		if b != ' ' || c.in.Buffered() > 0 || !bytes.HasSuffix(raw, []byte(prompt)) {
			continue
		}
		head := raw[:len(raw)-len(prompt)]
		if len(head) > 0 && head[len(head)-1] != '\n' || bytes.Count(head, []byte("\n")) < echo {
			continue
		}
		for range echo {
			_, head, _ = bytes.Cut(head, []byte("\n"))
		}
		return plain(string(head)), nil
	}
}

// plain ends lines with "\n" alone and drops escape sequences and other control
// characters but tabs.
func plain(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r != '\n' && (r < ' ' || r == 0x7f) }) < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == 0x1b && i+1 < len(text) && text[i+1] == '[':
			// A control sequence: parameters, then a byte from @ to ~.
			for i += 2; i < len(text) && (text[i] < '@' || text[i] > '~'); i++ {
			}
		case ch == '\n' || ch == '\t' || ch >= ' ' && ch != 0x7f:
			b.WriteByte(ch)
		}
	}
	return b.String()
}
