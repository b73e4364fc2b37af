package tracebuf

import "strings"

// Switch says by which tracepoint a scheduler tells its switches.
type Switch struct {
	// Name is the tracepoint, From and To the arguments that name the thread
	// that leaves and the one that runs next: its name, or its address, which
	// NameOf turns into a name. From is -1 where it is not recorded.
	Name     string
	From, To int
	NameOf   func(addr uint64) string
}

type roleKind uint8

const (
	instant roleKind = iota
	begins
	ends
	fails
)

// role is what a definition does to spans; base is the index of X.
type role struct {
	kind     roleKind
	switches bool
	base     int
}

// rolesOf finds the pairs among defs by the names' convention.
func rolesOf(defs *Definitions) []role {
	index := make(map[string]int, len(defs.All))
	for i := len(defs.All) - 1; i >= 0; i-- {
		// Several of one name are one operation: the first stands for them.
		index[defs.All[i].Name] = i
	}
	roles := make([]role, len(defs.All))
	for i, d := range defs.All {
		roles[i] = roleOf(d.Name, index)
	}
	return roles
}

func roleOf(name string, index map[string]int) role {
	for _, half := range []struct {
		suffix string
		kind   roleKind
	}{{"_ret", ends}, {"_err", fails}} {
		base, ok := strings.CutSuffix(name, half.suffix)
		if i, known := index[base]; ok && known {
			return role{kind: half.kind, base: i}
		}
	}
	_, ret := index[name+"_ret"]
	_, err := index[name+"_err"]
	if ret || err {
		return role{kind: begins, base: index[name]}
	}
	return role{kind: instant, base: index[name]}
}
