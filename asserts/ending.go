package asserts

import "strings"

// Ending says how a guest ended itself, told by the functions on its stack.
type Ending struct {
	// Kind is what those functions are called for.
	Kind    Kind
	Subkind string
	// Via is the outermost of them: the one that found the fault.
	Via string
	// Depth is how many functions, innermost first, belong to the ending; the
	// next one is where the fault is.
	Depth int
}

// endings are the functions a guest ends itself by (Unikraft's lib/ukdebug,
// lib/uksp, plat/*/shutdown.c; the sanitizers' runtimes). A prefix ends in '*'.
// Those with final set do not return; the others are entered in normal work too.
var endings = []struct {
	name  string
	kind  Kind
	final bool
}{
	{"__stack_chk_fail", StackSmash, true},
	{"__sanitizer::Die(*", AddressSanitizer, true}, // sanitizer_termination.cpp
	{"__asan_*", AddressSanitizer, false},
	{"kasan_*", AddressSanitizer, false},
	{"__kasan_*", AddressSanitizer, false},
	{"__ubsan_handle_*", UndefinedBehavior, false},
	{"ukplat_terminate", ExplicitCrash, true},
	{"ukplat_crash", ExplicitCrash, true},
	{"_uk_crash*", ExplicitCrash, true},
	{"uk_crash*", ExplicitCrash, true},
	{"abort", ExplicitCrash, true},
}

// regularEnds call ukplat_terminate when nothing is wrong.
var regularEnds = []string{"main", "do_main", "uk_boot*", "ukplat_entry*", "exit", "_exit", "_Exit", "uk_sys_exit*", "uk_syscall_r_exit*"}

// endingDepth bounds how far from the innermost function an ending may begin.
const endingDepth = 24

// FindEnding looks for an ending at the inner end of a stack; functions are
// symbol names, innermost first, "" where there is none.
func FindEnding(functions []string) (Ending, bool) {
	var e Ending
	final := false
	for i, name := range functions[:min(len(functions), endingDepth)] {
		for _, known := range endings {
			if !matches(known.name, name) {
				continue
			}
			final = final || known.final
			if final {
				e = Ending{Kind: known.kind, Via: name, Depth: i + 1}
			}
			break
		}
	}
	if e.Depth == 0 {
		return e, false
	}
	if e.Kind == ExplicitCrash && e.Depth < len(functions) {
		for _, r := range regularEnds {
			if matches(r, functions[e.Depth]) {
				return Ending{}, false
			}
		}
	}
	if check, ok := strings.CutPrefix(e.Via, "__ubsan_handle_"); ok {
		e.Subkind = strings.ReplaceAll(strings.TrimSuffix(check, "_abort"), "_", "-")
	}
	return e, true
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// ended makes the fault what the ending tells, where nothing tells it better.
func (s *scene) ended() bool {
	e, f := s.m.Ending, s.f
	if e.Depth == 0 || f.Kind != UnknownTrap && f.Kind != ExplicitCrash && f.Kind != InvalidOpcode {
		return false
	}
	if e.Kind == f.Kind && f.Reason != "" && !f.derived {
		return true
	}
	f.Kind, f.Subkind = e.Kind, e.Subkind
	f.infer(string(e.Kind) + ": the guest ended itself by way of " + e.Via)
	switch e.Kind {
	case StackSmash:
		s.reason("a function's stack canary was overwritten before it returned")
	case AddressSanitizer:
		s.asanCall(e.Via)
	case UndefinedBehavior:
		s.reason("undefined behavior: " + e.Subkind)
	default:
		s.reason("UK_CRASH or a failed assertion; its text is on the console only")
	}
	return true
}

// asanCall takes access and size from the name of an outline check, as in
// __asan_store8_noabort.
func (s *scene) asanCall(name string) {
	f := s.f
	rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "__asan_report_"), "__asan_")
	if !ok {
		rest = strings.TrimPrefix(name, "__asan_report_")
	}
	rest = strings.TrimSuffix(rest, "_noabort")
	size := ""
	if n, ok := strings.CutPrefix(rest, "load"); ok {
		f.Access, size = Read, n
	} else if n, ok := strings.CutPrefix(rest, "store"); ok {
		f.Access, size = Write, n
	}
	// The kernels' compilers call the checks that return (-fsanitize-recover).
	what := "AddressSanitizer: invalid "
	if strings.HasSuffix(name, "_noabort") || strings.Contains(name, "kasan") {
		what = "KASAN: invalid "
	}
	if f.Access != "" {
		what += string(f.Access)
	} else {
		what += "access"
	}
	if size != "" && size != "N" {
		f.detail("size", size)
		what += " of " + size + " bytes"
		if size == "1" {
			what = strings.TrimSuffix(what, "s")
		}
	}
	s.reason(what)
}
