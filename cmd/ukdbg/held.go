package main

import "io"

// maxHeld is how much of an answer is kept back, in bytes; a longer one goes out as
// it comes.
const maxHeld = 16 << 20

// heldOutput keeps an answer back while a guest may stand still for it: who reads
// it, a pager or a slow terminal, may take any time.
type heldOutput struct {
	to      io.Writer
	holding bool
	kept    []byte
}

func (h *heldOutput) Write(p []byte) (int, error) {
	if !h.holding {
		return h.to.Write(p)
	}
	h.kept = append(h.kept, p...)
	if len(h.kept) > maxHeld {
		return len(p), h.release()
	}
	return len(p), nil
}

// hold begins to keep back what is written.
func (h *heldOutput) hold() { h.holding = true }

// release writes what was kept back.
func (h *heldOutput) release() error {
	h.holding = false
	if len(h.kept) == 0 {
		return nil
	}
	_, err := h.to.Write(h.kept)
	h.kept = nil
	return err
}
