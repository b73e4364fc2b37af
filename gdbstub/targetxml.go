package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	in := xmlScanner{rest: string(doc)}
	depth, inArch := 0, false
	for {
		t, err := in.next()
		if err != nil {
			return d, fmt.Errorf("target description: %w", err)
		}
		if t == nil {
			return d, nil
		}
		switch t.kind {
		case xmlStart:
			if depth++; depth > maxXMLDepth {
				return d, errors.New("target description: nested too deeply")
			}
			inArch = t.name == "architecture"
			if err := d.element(t); err != nil {
				return d, err
			}
		case xmlEnd:
			depth--
			inArch = false
		case xmlText:
			if inArch {
				d.arch = strings.TrimSpace(t.text)
			}
		}
	}
}

func (d *xmlDoc) element(t *xmlToken) error {
	switch t.name {
	case "include":
		if href := t.attr("href"); href != "" {
			d.parts = append(d.parts, xmlPart{include: href})
		}
	case "reg":
		r := xmlReg{name: t.attr("name"), num: -1}
		bits, err := strconv.ParseUint(t.attr("bitsize"), 10, 32)
		if r.name == "" || err != nil || bits == 0 || bits > maxRegBits {
			return fmt.Errorf("target description: register %.40q has no good bitsize", r.name)
		}
		r.bits = int(bits)
		if s := t.attr("regnum"); s != "" {
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

// describer reads the documents that describe a stub's registers.
type describer struct {
	c     *Client
	ahead map[string][]ask // first pieces that were asked for already
	left  int              // documents that may still be read

	arch string
	regs []xmlReg
}

// read reads a document and what it includes.
func (d *describer) read(ctx context.Context, annex string, depth int) error {
	if d.left--; d.left < 0 || depth > 8 {
		return errors.New("target description: too many documents")
	}
	text, err := d.c.readXfer(ctx, annex, d.ahead[annex])
	if err != nil {
		return err
	}
	doc, err := parseTargetXML(text)
	if err != nil {
		return err
	}
	if doc.arch != "" {
		d.arch = doc.arch
	}
	if err := d.readAhead(ctx, doc); err != nil {
		return err
	}
	for _, p := range doc.parts {
		if p.include != "" {
			if err := d.read(ctx, p.include, depth+1); err != nil {
				return err
			}
			continue
		}
		if p.reg.num < 0 {
			p.reg.num = 0
			if n := len(d.regs); n > 0 {
				p.reg.num = d.regs[n-1].num + 1
			}
		}
		if d.regs = append(d.regs, p.reg); len(d.regs) > maxRegs {
			return fmt.Errorf("target description: more than %d registers", maxRegs)
		}
	}
	return nil
}

// readAhead asks for the beginnings of all documents that doc includes at once,
// where the stub takes that.
func (d *describer) readAhead(ctx context.Context, doc xmlDoc) error {
	const most = 8
	if !d.c.prof.pipelining {
		return nil
	}
	var names []string
	var a asks
	for _, p := range doc.parts {
		if p.include != "" && len(names) < most && d.ahead[p.include] == nil && goodAnnex(p.include) == nil {
			names = append(names, p.include)
			a.list = append(a.list, d.c.askXfer(p.include, 0, xferAhead)...)
		}
	}
	if err := d.c.exchange(ctx, &a); err != nil {
		return err
	}
	for i, name := range names {
		d.ahead[name] = a.list[i*xferAhead:][:xferAhead]
	}
	return nil
}

// xferAhead is how many pieces of a document are asked for at once.
const xferAhead = 8

// askXfer are the requests for n pieces of a document, from an offset on.
func (c *Client) askXfer(annex string, offset, n int) []ask {
	piece := c.xferPiece()
	list := make([]ask, n)
	for i := range list {
		text := packet.AppendUint([]byte(askFeatures+annex+":"), uint64(offset+i*piece))
		list[i].text = string(packet.AppendUint(append(text, ','), uint64(piece)))
	}
	return list
}

// askFeatures asks for a part of a document (GDB manual, E.4 "General Query
// Packets").
const askFeatures = "qXfer:features:read:"

// xferPiece is how much of a document one request asks for, in bytes.
func (c *Client) xferPiece() int { return max(minChunk, c.chunk-16) }

func goodAnnex(name string) error {
	for _, r := range name {
		if r < ' ' || r > '~' || r == ':' || r == '#' || r == '$' || r == '}' || r == '*' {
			return fmt.Errorf("target description: bad document name %.40q", name)
		}
	}
	return nil
}

// readXfer reads a document by qXfer:features:read. ahead are its first pieces
// as far as they were asked for. Pieces are asked for ahead, for as long as each
// comes as long as it was asked for.
func (c *Client) readXfer(ctx context.Context, annex string, ahead []ask) ([]byte, error) {
	if err := goodAnnex(annex); err != nil {
		return nil, err
	}
	var doc []byte
	piece := c.xferPiece()
	for n := 1; ; n = xferAhead {
		if !c.prof.pipelining {
			n = 1
		}
		got := ahead
		if ahead = nil; got == nil {
			a := asks{list: c.askXfer(annex, len(doc), n)}
			if err := c.exchange(ctx, &a); err != nil {
				return nil, err
			}
			got = a.list
		}
		for i, q := range got {
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
// one. targetXML is the first piece of target.xml if it was asked for.
func (c *Client) describe(ctx context.Context, f features, targetXML []ask) error {
	if f.has(readsFeatures) {
		d := describer{c: c, ahead: map[string][]ask{}, left: maxAnnexes}
		if len(targetXML) > 0 {
			d.ahead["target.xml"] = targetXML
		}
		err := d.read(ctx, "target.xml", 0)
		if err == nil && len(d.regs) > 0 {
			c.arch = archOf(d.arch, d.regs, c.opt.Arch)
			c.layout = newLayout(d.regs, c.arch, c.prof.inImage)
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
