package gdbstub

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// Limits of a target description.
const (
	maxAnnex    = 512 << 10 // bytes of one document
	maxAnnexes  = 32        // documents
	maxRegs     = 4096
	maxRegBits  = 1 << 16
	maxXMLDepth = 32
)

// xmlReg is a <reg> of a target description.
type xmlReg struct {
	name string
	num  int // number in p packets, -1: one more than the one before
	bits int
}

// xmlPart is one thing of interest in a document, in its order.
type xmlPart struct {
	reg     xmlReg
	include string // href of an xi:include, else ""
}

// xmlDoc is a parsed document of a target description.
type xmlDoc struct {
	arch  string // <architecture>
	parts []xmlPart
}

// parseTargetXML reads one document (GDB manual, appendix G.2 "Target
// Description Format"): target.xml or a feature it includes.
func parseTargetXML(doc []byte) (d xmlDoc, err error) {
	if len(doc) > maxAnnex {
		return d, fmt.Errorf("target description longer than %d bytes", maxAnnex)
	}
	dec := xml.NewDecoder(bytes.NewReader(doc))
	// Any encoding is taken as it is: names are ASCII.
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	depth, inArch := 0, false
	for {
		tok, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return d, fmt.Errorf("target description: %w", err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if depth++; depth > maxXMLDepth {
				return d, errors.New("target description: nested too deeply")
			}
			inArch = t.Name.Local == "architecture"
			if err := d.element(t); err != nil {
				return d, err
			}
		case xml.EndElement:
			depth--
			inArch = false
		case xml.CharData:
			if inArch {
				d.arch = string(bytes.TrimSpace(t))
			}
		}
	}
}

func (d *xmlDoc) element(t xml.StartElement) error {
	attr := func(name string) string {
		for _, a := range t.Attr {
			if a.Name.Local == name {
				return a.Value
			}
		}
		return ""
	}
	switch t.Name.Local {
	case "include":
		if href := attr("href"); href != "" {
			d.parts = append(d.parts, xmlPart{include: href})
		}
	case "reg":
		r := xmlReg{name: attr("name"), num: -1}
		bits, err := strconv.ParseUint(attr("bitsize"), 10, 32)
		if r.name == "" || err != nil || bits == 0 || bits > maxRegBits {
			return fmt.Errorf("target description: register %.40q has no good bitsize", r.name)
		}
		r.bits = int(bits)
		if s := attr("regnum"); s != "" {
			n, err := strconv.ParseUint(s, 0, 16)
			if err != nil {
				return fmt.Errorf("target description: register %.40q has regnum %.20q", r.name, s)
			}
			r.num = int(n)
		}
		d.parts = append(d.parts, xmlPart{reg: r})
	}
	if len(d.parts) > maxRegs {
		return fmt.Errorf("target description: more than %d registers", maxRegs)
	}
	return nil
}

// readDescription reads target.xml and what it includes. It returns
// target.ErrUnsupported if the stub has none.
func (c *Client) readDescription(ctx context.Context) (archName string, regs []xmlReg, err error) {
	left := maxAnnexes
	next := 0
	var read func(annex string, depth int) error
	read = func(annex string, depth int) error {
		if left--; left < 0 || depth > 8 {
			return errors.New("target description: too many documents")
		}
		doc, err := c.readXfer(ctx, annex)
		if err != nil {
			return err
		}
		d, err := parseTargetXML(doc)
		if err != nil {
			return err
		}
		if d.arch != "" {
			archName = d.arch
		}
		for _, p := range d.parts {
			if p.include != "" {
				if err := read(p.include, depth+1); err != nil {
					return err
				}
				continue
			}
			if p.reg.num < 0 {
				p.reg.num = next
			}
			next = p.reg.num + 1
			if regs = append(regs, p.reg); len(regs) > maxRegs {
				return fmt.Errorf("target description: more than %d registers", maxRegs)
			}
		}
		return nil
	}
	err = read("target.xml", 0)
	return archName, regs, err
}

// xferAhead is how many pieces of a document are asked for at once.
const xferAhead = 8

// readXfer reads a document by qXfer:features:read. Pieces are asked for ahead,
// for as long as each comes as long as it was asked for.
func (c *Client) readXfer(ctx context.Context, annex string) ([]byte, error) {
	for _, r := range annex {
		if r < ' ' || r > '~' || r == ':' || r == '#' || r == '$' || r == '}' || r == '*' {
			return nil, fmt.Errorf("target description: bad document name %.40q", annex)
		}
	}
	var doc []byte
	piece := max(minChunk, c.chunk-16)
	for ahead := 1; ; ahead = xferAhead {
		if !c.prof.pipelining {
			ahead = 1
		}
		a := asks{}
		for i := range ahead {
			text := "qXfer:features:read:" + annex + ":"
			off := packet.AppendUint([]byte(text), uint64(len(doc)+i*piece))
			a.list = append(a.list, ask{text: string(packet.AppendUint(append(off, ','), uint64(piece)))})
		}
		if err := c.exchange(ctx, &a); err != nil {
			return nil, err
		}
		for i, q := range a.list {
			if err := q.call.refused(q.text); err != nil {
				if i > 0 {
					break // asked beyond the end
				}
				return nil, err
			}
			raw := q.call.raw
			if len(raw) == 0 || raw[0] != 'm' && raw[0] != 'l' {
				return nil, fmt.Errorf("target description: unexpected answer %.40q", raw)
			}
			doc = append(doc, raw[1:]...)
			if raw[0] == 'l' {
				return doc, nil
			}
			if len(doc) > maxAnnex {
				return nil, fmt.Errorf("target description longer than %d bytes", maxAnnex)
			}
			if len(raw) == 1 {
				return nil, errors.New("target description: empty piece that is not the last")
			}
			if len(raw)-1 != piece {
				break // the following pieces do not join on
			}
		}
	}
}

// describe makes the register layout, from the target description if there is
// one.
func (c *Client) describe(ctx context.Context, f features) error {
	if f.has("qXfer:features:read+") {
		name, regs, err := c.readDescription(ctx)
		if err == nil && len(regs) > 0 {
			c.arch = archOf(name, regs, c.opt.Arch)
			c.layout = newLayout(regs, c.arch, c.prof.inImage)
			return nil
		}
		if err != nil && !errors.Is(err, target.ErrUnsupported) && !isRefusal(err) {
			return err
		}
	}
	c.arch = c.opt.Arch
	c.layout = newLayout(defaultRegs(c.arch), c.arch, c.prof.inImage)
	return nil
}

func isRefusal(err error) bool {
	var s *StubError
	return errors.As(err, &s)
}
