package qmp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// maxLine bounds one line of QMP: the registers of some hundred processors in
// one answer are a megabyte.
const maxLine = 16 << 20

// maxBetween bounds how many lines may come before the answer to a command.
const maxBetween = 1 << 16

var errTooLong = errors.New("the monitor's answer is longer than is read")

// message is any line of QMP.
type message struct {
	Event
	Greeting *greeting       `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

type greeting struct {
	Version struct {
		QEMU struct{ Major, Minor, Micro int } `json:"qemu"`
	} `json:"version"`
}

// readLine reads a line of at most maxLine bytes, without its end.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, errTooLong
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, linkError(err)
		}
	}
}

func readMessage(in *bufio.Reader) (m message, err error) {
	line, err := readLine(in)
	if err != nil {
		return m, err
	}
	return parseMessage(line)
}

func parseMessage(line []byte) (m message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("%w: a line is no QMP: %.60q", ErrNoMonitor, line)
	}
	return m, nil
}

// plainReturn is what most answers to human-monitor-command are, {"return": "text"},
// without two passes of a general parser over the registers of each sample. It is
// false for anything that is not written just like that, and then text is untouched.
func plainReturn(line []byte, text *string) bool {
	body, ok := bytes.CutPrefix(line, []byte(`{"return": "`))
	if !ok {
		return false
	}
	if body, ok = bytes.CutSuffix(body, []byte(`"}`)); !ok {
		return false
	}
	out := make([]byte, 0, len(body))
	for len(body) > 0 {
		i := bytes.IndexAny(body, `\"`)
		if i < 0 {
			i = len(body)
		}
		for _, b := range body[:i] {
			if b < ' ' || b > '~' {
				return false
			}
		}
		out = append(out, body[:i]...)
		if body = body[i:]; len(body) == 0 {
			break
		}
		if len(body) == 1 || body[0] != '\\' {
			return false
		}
		switch body[1] {
		case 'r':
			out = append(out, '\r')
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case '"', '\\', '/':
			out = append(out, body[1])
		default:
			return false
		}
		body = body[2:]
	}
	*text = string(out)
	return true
}

// Execute runs a QMP command. The result is put into out, nil to drop it. A
// refusal is a *CommandError.
func (c *Conn) Execute(ctx context.Context, command string, args, out any) error {
	if c.proto != QMP {
		return fmt.Errorf("monitor %s: %s: %w", c.path, command, ErrHumanOnly)
	}
	request := map[string]any{"execute": command}
	if args != nil {
		request["arguments"] = args
	}
	line, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("monitor command %s: %w", command, err)
	}
	return c.run(ctx, command, func() error {
		if _, err := c.link.Write(append(line, '\n')); err != nil {
			return linkError(err)
		}
		return c.answer(command, out)
	})
}

// answer reads up to the answer to a command and keeps the events before it.
func (c *Conn) answer(command string, out any) error {
	for range maxBetween {
		line, err := readLine(c.in)
		if err != nil {
			return err
		}
		if text, ok := out.(*string); ok && plainReturn(line, text) {
			return nil
		}
		m, err := parseMessage(line)
		switch {
		case err != nil:
			return err
		case m.Error != nil:
			return &CommandError{Command: command, Class: m.Error.Class, Desc: plain(m.Error.Desc)}
		case m.Return != nil:
			if out == nil {
				return nil
			}
			if err := json.Unmarshal(m.Return, out); err != nil {
				return fmt.Errorf("the answer has another form: %w", err)
			}
			return nil
		case m.Name == "":
			// Neither answer nor event: a later release's.
		case len(c.events) < maxEvents:
			c.events = append(c.events, m.Event)
		default:
			c.dropped++
		}
	}
	return errTooLong
}
