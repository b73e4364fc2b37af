package asserts

import "bytes"

// critText is a critical message without a marker, which is all that UK_CRASH
// prints. It counts as a crash only once what follows confirms it.
type critText struct {
	f         *Fault
	lib, file string
	line      int
	crash     bool // confirmed
}

// beginCrit takes any message of level CRIT that no other format knew.
func beginCrit(s *segment, _ assembler) assembler {
	if s.level != levelCrit || len(bytes.TrimSpace(s.body)) == 0 {
		return nil
	}
	f := newFault(ExplicitCrash, "unikraft-crit", s)
	f.Reason = string(bytes.TrimSpace(s.body))
	f.cutAt(s)
	f.placed(s)
	return &critText{f: f, lib: string(s.lib), file: string(s.file), line: s.fline}
}

func (c *critText) fault() *Fault { return c.f }

// maxReason bounds the text of a message of many lines.
const maxReason = 4 << 10

func (c *critText) add(s *segment) verdict {
	if _, ok := after(s.body, "Unikraft halted"); ok {
		c.confirm("the guest halted right after it")
		return over
	}
	if s.level != levelCrit || string(s.lib) != c.lib || string(s.file) != c.file || s.fline != c.line ||
		c.line == 0 || len(c.f.Reason)+len(s.body) > maxReason {
		return foreign
	}
	c.f.Reason += "\n" + string(s.body)
	return taken
}

func (c *critText) confirmed() bool { return c.crash }

// passed gives up when other messages of the kernel follow: it was no crash.
func (c *critText) passed(s *segment, gap int) bool { return s.enveloped() || gap > 3 }

func (c *critText) ended() { c.confirm("nothing of the guest follows it") }

// confirm makes the message a crash.
func (c *critText) confirm(why string) {
	c.crash = true
	c.f.infer("explicit crash: the message has level CRIT and " + why)
}
