// Package spool keeps batches of telemetry in a folder until a receiver has
// taken them.
//
//	s, err := spool.Open(dir, 256<<20)
//	n, err := s.Add(spool.Batch{Kind: kind, Items: 512, Payload: request})
//	b, err := s.Read(n)
//	err = s.Remove(n)
//
// One process uses a folder at a time; what it leaves, or what is there when it
// is killed, the next one finds (Kept). A batch is whole in the folder or not at
// all: a full disk is an error of Add and damages nothing. It is not synced:
// batches survive the end of the process, not a machine that loses its power;
// what such a machine leaves is found out by its checksum.
//
// Files have mode 0600. A batch is a file whose name is a number that grows, and
// ".batch":
//
//	0  "UKSP"
//	4  u32  CRC-32 (IEEE) of all that follows
//	8  u32  version, 2
//	12 u32  kind, a number of the user's
//	16 u64  items
//	24 u64  length of the payload
//	32 payload
//
// Integers are little-endian.
package spool
