package kernel

import (
	"context"
	"sort"
)

// Heap is all allocators of the guest.
type Heap struct {
	Allocators []Allocator
	Notes      []string
}

// Allocator is one of the guest's allocators.
type Allocator struct {
	// Addr is the address of its structure.
	Addr uint64
	// Kind is which one it is: "buddy", "stack", "pool", "region", "tlsf",
	// "tinyalloc", "mimalloc", or "unknown".
	Kind string
	// Symbol is the name of its page or byte allocation function, by which it
	// was recognised or may be.
	Symbol string
	// Known: Free, Used, Total and Largest are known. All are in bytes; Largest
	// is the largest block that can be had in one piece.
	Known                      bool
	Free, Used, Total, Largest uint64
	// Chunks counts the free blocks by the power of two of their pages.
	Chunks map[int]int
	// Stats is the allocator's own counters, nil if the image has none.
	Stats *AllocStats
	// Corrupt lists what contradicts itself in its structures. A guest stopped
	// inside the allocator is seen in between two consistent states.
	Corrupt []string
	// Damaged are the addresses of the headers and list entries that hold what
	// cannot be true, in the order of Corrupt: what lies before one is likely what
	// was written past its end.
	Damaged []uint64
	// Parent is the address of the allocator it takes its memory from, 0 if it has
	// none or does not write it down.
	Parent uint64
	Notes  []string
}

// Fragmentation is the share of the free memory that the largest block is not:
// 0 where all is in one piece, near 1 where it is in crumbs. ok is false where
// that is not known, or nothing is free.
func (a *Allocator) Fragmentation() (share float64, ok bool) {
	if !a.Known || a.Free == 0 || a.Largest > a.Free {
		return 0, false
	}
	return 1 - float64(a.Largest)/float64(a.Free), true
}

// AllocStats is what an allocator counts of itself.
type AllocStats struct {
	// InUse and MaxInUse are bytes.
	InUse, MaxInUse int64
	// Live is the number of allocations that were not freed, Failed that of
	// requests that got nothing.
	Live   int64
	Failed uint64
}

// HeapArea is a stretch of memory that an allocator deals out, with the blocks
// it consists of.
type HeapArea struct {
	// Allocator is the address of the allocator's structure, Kind which one it is.
	Allocator uint64
	Kind      string
	// First and Last are the stretch, Last included.
	First, Last uint64
	// Blocks lie in the stretch by rising address and do not overlap.
	Blocks []Block
	Notes  []string
}

// Block is one piece of an allocator's memory.
type Block struct {
	// Addr and Size are the whole piece in bytes, headers included.
	Addr, Size uint64
	Use        BlockUse
	// Object is what its user has, Asked for how many bytes: 0 where the
	// allocator does not write it down.
	Object, Asked uint64
	// Joined: the allocator does not write down where allocations end, so that
	// several may lie in it.
	Joined bool
}

// Last is the last address of the block.
func (b Block) Last() uint64 { return b.Addr + (b.Size - 1) }

// Contains reports whether addr lies in the block.
func (b Block) Contains(addr uint64) bool { return addr-b.Addr < b.Size }

// BlockUse is what a block is used for.
type BlockUse uint8

const (
	// BlockUsed: allocated.
	BlockUsed BlockUse = iota
	// BlockFree: in the allocator's hands.
	BlockFree
	// BlockMeta: the allocator's own records.
	BlockMeta
	// BlockLost: free by one of the allocator's records and not by another.
	BlockLost
)

func (u BlockUse) String() string {
	return [...]string{"allocated", "free", "allocator's own", "contradictory"}[u]
}

// At returns the block addr lies in, and those before and behind it; nil where
// there is none, or none is told.
func (a HeapArea) At(addr uint64) (before, at, behind *Block) {
	i := sort.Search(len(a.Blocks), func(i int) bool { return a.Blocks[i].Last() >= addr })
	if i == len(a.Blocks) || !a.Blocks[i].Contains(addr) {
		return nil, nil, nil
	}
	if i > 0 && a.Blocks[i-1].Last()+1 == a.Blocks[i].Addr {
		before = &a.Blocks[i-1]
	}
	if i+1 < len(a.Blocks) && a.Blocks[i].Last()+1 == a.Blocks[i+1].Addr {
		behind = &a.Blocks[i+1]
	}
	return before, &a.Blocks[i], behind
}

// HeapMapper is the optional power of a kernel to list the blocks of its heap.
type HeapMapper interface {
	// HeapMap lists the allocators' stretches with the blocks that lie in first
	// to last, and some before and behind. Blocks that are only partly told by the
	// allocator's records are told as far as they go.
	HeapMap(ctx context.Context, first, last uint64) ([]HeapArea, error)
}
