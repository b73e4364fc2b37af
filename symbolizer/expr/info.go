package expr

import (
	"fmt"
	"strings"
)

// InfoSymbol tells what symbol an address belongs to, as gdb's info symbol.
func (e *Env) InfoSymbol(src string) (string, error) {
	addr, err := e.EvalUint(src)
	if err != nil {
		return "", err
	}
	if e.Symbols != nil {
		if name, start, ok := e.Symbols.SymbolAt(addr); ok {
			if addr != start {
				name += fmt.Sprintf(" + %d", addr-start)
			}
			if sec, ok := e.Symbols.SectionAt(addr); ok {
				name += " in section " + sec
			}
			return name, nil
		}
	}
	return fmt.Sprintf("No symbol matches %s.", strings.TrimSpace(src)), nil
}

// InfoLocals lists the variables in scope with their values, one a line, those
// of the innermost block first.
func (e *Env) InfoLocals() (string, error) { return e.infoVars(false, "No locals.") }

// InfoArgs lists the function's parameters with their values.
func (e *Env) InfoArgs() (string, error) { return e.infoVars(true, "No arguments.") }

func (e *Env) infoVars(params bool, none string) (string, error) {
	if e.Frame == nil {
		return "", errorf("No frame selected.")
	}
	s := e.currentScope()
	if s == nil {
		return "", errorf("No symbol table info available.")
	}
	var b strings.Builder
	for _, l := range s.Locals() {
		if l.Param != params {
			continue
		}
		text, err := e.FormatVariable(l.Value(e.Reader, e.Frame))
		if err != nil {
			text = fmt.Sprintf("<error reading variable %s (%v)>", l.Name, err)
		}
		b.WriteString(l.Name + " = " + text + "\n")
	}
	if b.Len() == 0 {
		return none + "\n", nil
	}
	return b.String(), nil
}

// InfoScope lists the variables visible at a run-time address and where they are
// kept there.
func (e *Env) InfoScope(addr uint64) (string, error) {
	pc := addr - e.Reader.Slide()
	s, err := e.Reader.Types().Scope(pc, 0)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, l := range s.Locals() {
		kind := "a variable"
		if l.Param {
			kind = "a parameter"
		}
		fmt.Fprintf(&b, "Symbol %s is %s %s, length %d.\n", l.Name, kind, l.Where(pc, e.Arch), l.Type.Size())
	}
	if b.Len() == 0 {
		return fmt.Sprintf("Scope for %#x:\ncontains no locals or arguments.\n", addr), nil
	}
	return fmt.Sprintf("Scope for %#x:\n", addr) + b.String(), nil
}
