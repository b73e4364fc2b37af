package delivery

import (
	"maps"
	"slices"
	"time"
)

// Stats counts what became of the batches.
type Stats struct {
	// Items is how many were put, in how many Batches of how many Bytes.
	Items, Batches int
	Bytes          int64
	// Accepted, Rejected (by a partial success) and Failed (in a batch the
	// receiver refuses, or that could not be delivered) add up to Items, with what
	// waits and what was dropped.
	Accepted, Rejected, Failed int
	// Replayed is how many were accepted that an earlier process left in the spool.
	Replayed int
	// Retries counts attempts beyond the first.
	Retries int
	// Dropped is how many items were not kept, by reason: the Drop constants.
	Dropped map[string]int
	// Waiting is how many batches wait, of WaitingBytes; InMemory of them are not
	// on disk.
	Waiting, InMemory int
	WaitingBytes      int64
	// Notes are what the receiver said about rejected items and in warnings,
	// each once, at most maxNotes of them.
	Notes []string
	// LastError is the last failure and LastErrorTime when it was, zero if there
	// was none; Away is since when the receiver takes nothing, zero while it does.
	LastError           string
	LastErrorTime, Away time.Time
	// LastTaken is when the receiver last took something, zero if it never did.
	LastTaken time.Time
	// DiskError is why the disk takes no batches at the moment, "" if it does, and
	// Unspooled how many it did not take: they were kept in memory, or dropped.
	DiskError string
	Unspooled int
}

// Why items were not kept.
const (
	// DropFull: neither the spool nor memory has room.
	DropFull = "full"
	// DropDisk: the disk takes no more, and memory has no room.
	DropDisk = "disk"
	// DropClosed: the queue was closed before they were sent, and they were in
	// memory only.
	DropClosed = "closed"
	// DropDamaged: what the spool had kept could not be read.
	DropDamaged = "damaged"
)

const maxNotes = 16

func (s *Stats) note(text string) {
	if text == "" || len(s.Notes) == maxNotes || slices.Contains(s.Notes, text) {
		return
	}
	s.Notes = append(s.Notes, text)
}

func (s *Stats) drop(why string, items int) {
	if s.Dropped == nil {
		s.Dropped = map[string]int{}
	}
	s.Dropped[why] += items
}

// clone returns a copy that shares nothing.
func (s *Stats) clone() Stats {
	c := *s
	c.Notes, c.Dropped = slices.Clone(s.Notes), maps.Clone(s.Dropped)
	return c
}
