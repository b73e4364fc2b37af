package vmm

import (
	"encoding/json"
	"strconv"
	"strings"
)

// maxProps bounds the properties of one option.
const maxProps = 256

// props are the properties of one QEMU option.
type props map[string]string

// parseOpts reads QEMU's "a=1,b=2,c" syntax: a comma in a value is doubled, a
// first item without "=" is the value of implied, a later one is "on", or "off"
// behind a "no". What JSON an option is given in is read as well; nested values
// are left out.
func parseOpts(text, implied string) props {
	p := props{}
	if strings.HasPrefix(text, "{") {
		var v map[string]any
		if json.Unmarshal([]byte(text), &v) != nil {
			return p
		}
		for k, x := range v {
			if len(p) < maxProps {
				p.setJSON(k, x)
			}
		}
		return p
	}
	for first := true; text != "" && len(p) < maxProps; first = false {
		item, rest := cutOpt(text)
		text = rest
		// A name ends at "=" and has no comma, so the first "=" ends it.
		k, v, has := strings.Cut(item, "=")
		switch {
		case has:
			p[k] = v
		case first && implied != "":
			p[implied] = item
		case strings.HasPrefix(k, "no") && len(k) > 2:
			p[k[2:]] = "off"
			p[k] = "on" // as QEMU's own words: "nowait", "nodelay"
		case k != "":
			p[k] = "on"
		}
	}
	return p
}

func (p props) setJSON(k string, x any) {
	switch v := x.(type) {
	case string:
		p[k] = v
	case bool:
		p[k] = map[bool]string{true: "on", false: "off"}[v]
	case float64:
		p[k] = strconv.FormatFloat(v, 'f', -1, 64)
	}
}

// cutOpt takes the text up to the next single comma, undoing doubled ones.
func cutOpt(text string) (item, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == ',' {
			if i+1 >= len(text) || text[i+1] != ',' {
				return b.String(), text[i+1:]
			}
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String(), ""
}

// on reads a boolean property.
func (p props) on(name string) bool {
	switch p[name] {
	case "on", "yes", "true", "y":
		return true
	}
	return false
}

// size reads a number of bytes with a suffix b, k, M, G, T, P or E; a bare
// number counts units of unit bytes. A wrong one is 0.
func size(text string, unit uint64) uint64 {
	if text == "" {
		return 0
	}
	shift := -1
	if i := strings.IndexByte("BKMGTPE", text[len(text)-1]&^0x20); i >= 0 && text[len(text)-1] >= 'A' {
		shift, text = 10*i, text[:len(text)-1]
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0) { // NaN is neither
		return 0
	}
	if shift >= 0 {
		unit = 1 << shift
	}
	if f *= float64(unit); f >= 1<<63 {
		return 0
	}
	return uint64(f)
}
