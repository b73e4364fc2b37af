package asserts

import (
	"fmt"
	"strconv"
)

// protectionKey explains a fault of x86 protection keys: which key the page
// has, and which of the two bits of PKRU forbids the access (SDM vol. 3, 4.6.2:
// bit 2k denies all access, bit 2k+1 denies writes).
func (s *scene) protectionKey() {
	f := s.f
	f.Kind = ProtectionKey
	key := -1
	if s.m.Page != nil && f.Address.Known {
		if p, err := s.m.Page(s.ctx, f.Address.V); err == nil && p.Present {
			key = p.Key
			f.detail("key", strconv.Itoa(key))
		}
	}
	if s.m.Section != nil && f.Address.Known {
		if name := s.m.Section(f.Address.V); name != "" {
			f.detail("section", name)
		}
	}
	if k, err := strconv.Atoi(f.Detail("key")); err == nil && key < 0 {
		key = k
	}
	if f.Access == Read {
		// Only one of the two bits forbids reading.
		f.Subkind = SubAccessDisabled
	}
	pkru := hexWord(f.Detail("pkru"))
	if key < 0 || key > 15 || !pkru.Known {
		return
	}
	switch bits := pkru.V >> (2 * key) & 3; {
	case bits&1 != 0:
		f.Subkind = SubAccessDisabled
	case bits&2 != 0 && f.Access == Write:
		f.Subkind = SubWriteDisabled
	default:
		f.infer(fmt.Sprintf("PKRU %#x would allow this access with key %d: it was changed after the fault, or is not the fault's", pkru.V, key))
	}
}

// keyReason says which key of which page forbids the access, as far as known.
func (s *scene) keyReason() string {
	f := s.f
	key := f.Detail("key")
	if key == "" {
		return ", which the protection keys forbid"
	}
	text := ", whose page has protection key " + key
	switch f.Subkind {
	case SubAccessDisabled:
		text += ", closed to all access"
	case SubWriteDisabled:
		text += ", closed to writes"
	default:
		text += ", closed to it"
	}
	if pkru := f.Detail("pkru"); pkru != "" {
		text += " (PKRU " + pkru + ")"
	}
	return text
}
