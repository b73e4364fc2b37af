package symbolizer

import (
	"strings"

	"github.com/ianlancetaylor/demangle"
)

// maxMangled bounds the names given to the demangler, in bytes.
const maxMangled = 8 << 10

// Demangle is the function of this name, with what it found kept.
func (im *Image) Demangle(linkage string) string { return im.demangle(linkage) }

// demangle returns the name a person wrote for a linkage name of C++ or Rust,
// with parameters, or the name itself.
func (im *Image) demangle(linkage string) string {
	if !mangled(linkage) {
		return linkage
	}
	if v, ok := im.demangled.Load(linkage); ok {
		return v.(string)
	}
	name := Demangle(linkage)
	im.demangled.Store(linkage, name)
	return name
}

func mangled(name string) bool {
	return strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "__Z") || strings.HasPrefix(name, "_R")
}

// Demangle returns the C++ or Rust name behind a linkage name, with parameters,
// or the name itself if it is none.
func Demangle(linkage string) string {
	if len(linkage) > maxMangled || !mangled(linkage) {
		return linkage
	}
	// MaxLength keeps a hostile name from growing without bound.
	return demangle.Filter(linkage, demangle.MaxLength(16))
}

// ShortName returns a demangled function name without its parameters: "ns::f"
// of "ns::f(int) const".
func ShortName(name string) string {
	depth := 0
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '<', '{', '[':
			depth++
		case '>', '}', ']':
			depth--
		case '(':
			if depth > 0 {
				continue
			}
			end := closing(name, i)
			// "(anonymous namespace)::f", "operator()" and "f(int)::g" go on.
			if i == 0 || strings.HasPrefix(name[end:], "::") || strings.HasSuffix(name[:i], "operator") {
				i = end - 1
				continue
			}
			return name[:i]
		}
	}
	return name
}

// closing returns the index past the parenthesis that closes the one at i.
func closing(name string, i int) int {
	depth := 0
	for ; i < len(name); i++ {
		switch name[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(name)
}
