package kernel

// Heap is all allocators of the guest.
type Heap struct {
	Allocators []Allocator
	Notes      []string
}

// Allocator is one of the guest's allocators.
type Allocator struct {
	// Addr is the address of its structure.
	Addr uint64
	// Kind is which one it is: "buddy", "stack", "pool", "region", or "unknown".
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
	Notes   []string
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
