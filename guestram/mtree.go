//go:build linux

package guestram

import (
	"context"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/ukdbg/ukdbg/qmp"
)

// ByMonitor asks the VMM's monitor where guest memory lies in its process: the
// flat view of the address space, and the host address of each block of memory
// in it. No command stops the guest, and other clients of the monitor are let in
// between two.
func ByMonitor(ctx context.Context, c *qmp.Conn) ([]Region, error) {
	text, err := c.HMP(ctx, "info mtree -f")
	if err != nil {
		return nil, err
	}
	parts := parseFlatView(text)
	if len(parts) == 0 {
		return nil, fmt.Errorf("the monitor's info mtree -f shows no RAM: %.80q", text)
	}
	base := map[string]uint64{} // host address of offset 0 of a block
	refused := map[string]bool{}
	var out []Region
	var why error
	for _, f := range parts {
		b, known := base[f.name]
		if refused[f.name] {
			continue
		}
		if !known {
			if err := c.Yield(ctx); err != nil {
				return nil, err
			}
			text, err := c.HMP(ctx, fmt.Sprintf("gpa2hva %#x", f.phys))
			if err != nil {
				return nil, err
			}
			host, err := parseHost(text)
			if err != nil || host < f.off {
				// A ROM that is served by a device, say; what matters is RAM.
				refused[f.name], why = true, err
				continue
			}
			b = host - f.off
			base[f.name] = b
		}
		out = append(out, Region{Phys: f.phys, Host: b + f.off, Size: f.size, Name: f.name})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the monitor names no host address of guest memory: %w", why)
	}
	return join(out), nil
}

// join makes one region of parts that follow each other at both ends.
func join(parts []Region) []Region {
	sort.Slice(parts, func(i, k int) bool { return parts[i].Phys < parts[k].Phys })
	out := parts[:1]
	for _, p := range parts[1:] {
		last := &out[len(out)-1]
		if last.Phys+last.Size == p.Phys && last.Host+last.Size == p.Host && last.Name == p.Name {
			last.Size += p.Size
			continue
		}
		out = append(out, p)
	}
	return out
}

// flat is a line of a flat view: memory of a block, from an offset in it.
type flat struct {
	phys, size, off uint64
	name            string
}

var flatLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:ram|rom|nv-ram|nv-rom)\): (.+?)(?: @([0-9a-f]{16}))?(?: KVM)?$`)
})

// parseFlatView reads QEMU's "info mtree -f" (softmmu/memory.c, mtree_info_flatview):
// of the view that serves the address space "memory", the ranges that are plain
// memory.
func parseFlatView(text string) []flat {
	var out []flat
	ours := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "FlatView #"):
			if len(out) > 0 {
				return out
			}
			ours = false
		case strings.HasPrefix(line, ` AS "memory"`):
			ours = true
		case ours && len(out) < maxRegions:
			m := flatLine().FindStringSubmatch(line)
			if m == nil {
				continue
			}
			// The expression lets 16 hexadecimal digits through, which fit.
			from, _ := strconv.ParseUint(m[1], 16, 64)
			last, _ := strconv.ParseUint(m[2], 16, 64)
			off, _ := strconv.ParseUint("0"+m[4], 16, 64)
			if last < from || last-from == ^uint64(0) || len(out) > 0 && from <= out[len(out)-1].phys+(out[len(out)-1].size-1) {
				continue
			}
			out = append(out, flat{phys: from, size: last - from + 1, off: off, name: m[3]})
		}
	}
	return out
}

// parseHost reads what gpa2hva prints: "Host virtual address for 0x0 (pc.ram) is
// 0x7f…".
func parseHost(text string) (uint64, error) {
	_, word, ok := strings.Cut(text, ") is ")
	word, _, _ = strings.Cut(strings.TrimSpace(word), "\n")
	v, err := strconv.ParseUint(strings.TrimPrefix(word, "0x"), 16, 64)
	if !ok || err != nil || v == 0 {
		return 0, fmt.Errorf("gpa2hva says %.80q", text)
	}
	return v, nil
}
