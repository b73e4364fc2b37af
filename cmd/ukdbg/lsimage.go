package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/hosts"
)

// imageMatch is the image of a guest and whether its bytes are the guest's.
type imageMatch struct {
	Path string
	// Match is nil where they could not be compared; Why says why, or why there
	// is no image.
	Match *bool
	Why   string
}

// matchImage looks for the guest's image and compares it with its memory, if
// that can be read without a stop.
func matchImage(ctx context.Context, g *hosts.Guest) imageMatch {
	m := imageMatch{}
	if m.Path, m.Why = hosts.Image(&g.Process); m.Path == "" {
		return m
	}
	if _, ok := g.Way(hosts.Memory); !ok {
		m.Why = "memory cannot be read from here"
		return m
	}
	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: fmt.Sprintf("pid:%d", g.PID), Image: m.Path})
	switch {
	case err == nil:
		m.set(true)
		// Only looked at: leaving closes files.
		_, _ = s.Leave(context.WithoutCancel(ctx))
	case errors.Is(err, ukdbg.ErrMismatch):
		m.set(false)
		m.Why = err.Error()
	default:
		m.Why = err.Error()
	}
	return m
}

func (m *imageMatch) set(yes bool) { m.Match = &yes }

// short is for a column.
func (m imageMatch) short() string {
	switch {
	case m.Path == "":
		return "-"
	case m.Match == nil:
		return base(m.Path) + " ?"
	case *m.Match:
		return base(m.Path) + " ✔"
	}
	return base(m.Path) + " ✘"
}

func (m imageMatch) String() string {
	switch {
	case m.Path == "":
		return "none (" + m.Why + ")"
	case m.Match == nil && m.Why == "":
		return m.Path + ", not compared with the guest"
	case m.Match == nil:
		return m.Path + ", not compared with the guest: " + m.Why
	case *m.Match:
		return m.Path + " matches the guest"
	}
	return m.Path + " is not what this guest runs"
}
