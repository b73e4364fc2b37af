package asserts

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// MarshalJSON writes the stable form of issue-tracker and CI use: lower-case
// names, addresses as "0x…" strings of their own length, registers as an object
// of name and 16-digit value. A register that was cut in the log has its digits
// followed by "…". kind, subkind ("" if there is none), reason, address (null if
// it is not known), registers, frames, source, inferred, not_printed and
// consequences are always there; what else is not known is left out.
func (f *Fault) MarshalJSON() ([]byte, error) {
	j := jsonFault{
		Kind: f.Kind, Subkind: f.Subkind, Reason: f.Reason, Kernel: f.Kernel, Thread: f.Thread,
		ThreadAddr: f.ThreadAddr.hex(), Address: f.Address.orNull(), InferredAddress: f.InferredAddress.hex(),
		Access: f.Access, ErrorCode: f.ErrorCode.hex(), PC: f.PC.hex(),
		Frames: []jsonFrame{}, Inferred: []string{}, NotPrinted: []string{}, Consequences: []jsonConsequence{},
		MoreConsequences: f.MoreConsequences,
		Source:           f.Source.json(),
		Instruction:      f.Instruction, Next: f.Next,
	}
	if f.Cause.Text != "" {
		j.Cause = &jsonCause{f.Cause.Text, f.Cause.From}
	}
	if o := f.Object; o != nil {
		j.Object = &jsonObject{o.Kind, o.Name, o.Section, Word{o.Addr, o.Size > 0}.hex(), o.Size, o.Offset, o.Text}
	}
	if d := f.Shadow; d != nil {
		j.Shadow = &jsonShadow{Flavour: d.Flavour.Name, Address: fmt.Sprintf("%#x", d.Addr), Rows: []jsonShadowRow{}}
		for _, r := range d.Rows {
			j.Shadow.Rows = append(j.Shadow.Rows, jsonShadowRow{fmt.Sprintf("%#x", r.Addr), fmt.Sprintf("%x", r.Bytes)})
		}
	}
	if f.Arch != nil {
		j.Arch = f.Arch.Name
	}
	if f.GuestTime.Known {
		j.GuestTime = fmt.Sprintf("%d.%06d", f.GuestTime.V/1e6, f.GuestTime.V%1e6)
	}
	if f.TrapNumber.Known {
		n := f.TrapNumber.V
		j.Trap = &n
	}
	j.Location = f.Location.json()
	j.Registers = make(map[string]string, len(f.Registers))
	for _, r := range f.Registers {
		if r.Value.Known {
			j.Registers[r.Name] = fmt.Sprintf("0x%016x", r.Value.V)
		} else {
			j.Registers[r.Name] = r.Text + "…"
		}
	}
	for _, c := range f.Backtrace {
		j.Frames = append(j.Frames, c.json())
	}
	if len(f.Details) > 0 {
		j.Details = make(map[string]string, len(f.Details))
		for _, d := range f.Details {
			j.Details[d.Name] = d.Value
		}
	}
	for _, m := range f.Memory {
		j.Memory = append(j.Memory, jsonMemory{fmt.Sprintf("%#x", m.Addr), fmt.Sprintf("%x", m.Data)})
	}
	j.Inferred = append(j.Inferred, f.Inferred...)
	j.NotPrinted = append(j.NotPrinted, f.NotPrinted...)
	for _, c := range f.Consequences {
		j.Consequences = append(j.Consequences, jsonConsequence{c.Kind, c.Subkind, c.Reason, c.Source.json()})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // C expressions are full of & and <
	if err := enc.Encode(j); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

func (c CodeAddr) json() jsonFrame {
	j := jsonFrame{Function: c.Function, Offset: c.Offset.hex(), Kind: c.Kind, How: c.How, Location: c.Place.json()}
	if c.Printed() {
		j.Address = fmt.Sprintf("%#x", c.Addr)
	}
	return j
}

func (l Location) json() *jsonLocation {
	if l.File == "" {
		return nil
	}
	return &jsonLocation{l.File, l.Line, l.Column}
}

// orNull is the word in hex, nil if it is not known.
func (w Word) orNull() *string {
	if !w.Known {
		return nil
	}
	text := w.hex()
	return &text
}

func (w Word) hex() string {
	if !w.Known {
		return ""
	}
	return fmt.Sprintf("%#x", w.V)
}

func (s Source) json() jsonSource {
	return jsonSource{s.Format, s.FirstLine, s.LastLine, s.ByteOffset}
}

type jsonCause struct {
	Text string `json:"text"`
	From string `json:"from,omitempty"`
}

type jsonObject struct {
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"`
	Section string `json:"section,omitempty"`
	Address string `json:"address,omitempty"`
	Size    uint64 `json:"size,omitempty"`
	Offset  int64  `json:"offset"`
	Text    string `json:"text"`
}

type jsonShadow struct {
	Flavour string          `json:"flavour"`
	Address string          `json:"address"`
	Rows    []jsonShadowRow `json:"rows"`
}

type jsonShadowRow struct {
	Address string `json:"address"`
	Bytes   string `json:"bytes"`
}

type jsonFault struct {
	Kind             Kind              `json:"kind"`
	Subkind          string            `json:"subkind"`
	Reason           string            `json:"reason"`
	Cause            *jsonCause        `json:"cause,omitempty"`
	Instruction      string            `json:"instruction,omitempty"`
	Object           *jsonObject       `json:"object,omitempty"`
	Shadow           *jsonShadow       `json:"shadow,omitempty"`
	Next             []string          `json:"look_next,omitempty"`
	Arch             string            `json:"arch,omitempty"`
	Kernel           string            `json:"kernel,omitempty"`
	Thread           string            `json:"thread,omitempty"`
	ThreadAddr       string            `json:"thread_address,omitempty"`
	GuestTime        string            `json:"guest_time,omitempty"`
	Address          *string           `json:"address"`
	InferredAddress  string            `json:"inferred_address,omitempty"`
	Access           Access            `json:"access,omitempty"`
	Trap             *uint64           `json:"trap,omitempty"`
	ErrorCode        string            `json:"error_code,omitempty"`
	PC               string            `json:"pc,omitempty"`
	Registers        map[string]string `json:"registers"`
	Frames           []jsonFrame       `json:"frames"`
	Location         *jsonLocation     `json:"location,omitempty"`
	Details          map[string]string `json:"details,omitempty"`
	Memory           []jsonMemory      `json:"memory,omitempty"`
	Source           jsonSource        `json:"source"`
	Inferred         []string          `json:"inferred"`
	NotPrinted       []string          `json:"not_printed"`
	Consequences     []jsonConsequence `json:"consequences"`
	MoreConsequences int               `json:"more_consequences,omitempty"`
}

type jsonFrame struct {
	Address  string        `json:"address,omitempty"`
	Function string        `json:"function,omitempty"`
	Offset   string        `json:"offset,omitempty"`
	Location *jsonLocation `json:"location,omitempty"`
	Kind     AddrKind      `json:"kind"`
	How      string        `json:"how,omitempty"`
}

type jsonLocation struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

type jsonMemory struct {
	Address string `json:"address"`
	Hex     string `json:"hex"`
}

type jsonSource struct {
	Format     string `json:"format"`
	Line       int64  `json:"line,omitempty"`
	LastLine   int64  `json:"last_line,omitempty"`
	ByteOffset int64  `json:"byte_offset"`
}

type jsonConsequence struct {
	Kind    Kind       `json:"kind"`
	Subkind string     `json:"subkind,omitempty"`
	Reason  string     `json:"reason"`
	Source  jsonSource `json:"source"`
}
