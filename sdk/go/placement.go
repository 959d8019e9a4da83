package mappable

import (
	"slices"
	"sync"
	"unsafe"
)

// Placements: granules of this component's memory that nothing else uses, over which regions are mapped.
//
// Go's runtime takes all that memory.grow adds for its heap, so placements are made of large slices of bytes from that heap. These are
// kept for good: the collector neither moves nor frees them, and it does not read what is in a slice of bytes. They are used again, the
// lowest first: what is mapped in the same order is mapped at the same addresses, for which the host needs no system call.

type granules struct{ start, end uintptr }

const (
	// The slices have this many granules at the least: each loses nearly one to alignment.
	leastGranules = 16
	// Regions of 2 MiB and more begin at a multiple of that, so that the host can use huge pages.
	hugeGranules = 2 << 20 / Granule
	// What a memory has at most.
	mostGranules = 1 << 32 / Granule
)

var placements struct {
	sync.Mutex
	kept [][]byte
	// Sorted, with something that is not free between any two. No two slices' granules are neighbours, since each has less than a granule
	// in front of its first one and some more behind its last.
	free []granules
}

// TakePlacement returns memory for size bytes, which is not 0, in whole granules, to map something over: the lowest that is free, or new
// memory. It is the caller's until GivePlacement. Map takes one itself.
func TakePlacement(size uint64) ([]byte, error) {
	count := uintptr((size + Granule - 1) / Granule)
	if size == 0 || size > (mostGranules-1)*Granule {
		return nil, ErrMemoryFull
	}
	align := uintptr(1)
	if count >= hugeGranules {
		align = hugeGranules
	}
	placements.Lock()
	defer placements.Unlock()
	start, ok := takeFree(count, align)
	if !ok {
		keep(max(count+align-1, leastGranules))
		start, _ = takeFree(count, align)
	}
	return at(start, count), nil
}

// GivePlacement takes memory back over which nothing is mapped.
func GivePlacement(at []byte) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(at))) / Granule
	end := start + (uintptr(len(at))+Granule-1)/Granule
	placements.Lock()
	defer placements.Unlock()
	is := slices.IndexFunc(placements.free, func(free granules) bool { return free.end >= start })
	if is < 0 {
		is = len(placements.free)
	}
	isFree := slices.ContainsFunc(placements.free, func(free granules) bool { return free.start < end && free.end > start })
	if len(at) == 0 || isFree || !isKept(start, end) {
		panic(notTaken)
	}
	give(is, granules{start, end})
}

// give adds granules in front of the ones at an index, or joins them with their neighbours.
func give(is int, free granules) {
	if is < len(placements.free) && placements.free[is].end == free.start {
		free.start = placements.free[is].start
		placements.free = slices.Delete(placements.free, is, is+1)
	}
	if is < len(placements.free) && placements.free[is].start == free.end {
		free.end = placements.free[is].end
		placements.free = slices.Delete(placements.free, is, is+1)
	}
	placements.free = slices.Insert(placements.free, is, free)
}

// keep adds a slice that has so many granules.
func keep(count uintptr) {
	bytes := make([]byte, (count+1)*Granule)
	placements.kept = append(placements.kept, bytes)
	start := (uintptr(unsafe.Pointer(unsafe.SliceData(bytes))) + Granule - 1) / Granule
	is := slices.IndexFunc(placements.free, func(free granules) bool { return free.end >= start })
	if is < 0 {
		is = len(placements.free)
	}
	give(is, granules{start, start + count})
}

func takeFree(count, align uintptr) (start uintptr, ok bool) {
	for is, free := range placements.free {
		start := (free.start + align - 1) / align * align
		if start+count > free.end {
			continue
		}
		placements.free = slices.Delete(placements.free, is, is+1)
		if start+count < free.end {
			placements.free = slices.Insert(placements.free, is, granules{start + count, free.end})
		}
		if free.start < start {
			placements.free = slices.Insert(placements.free, is, granules{free.start, start})
		}
		return start, true
	}
	return 0, false
}

func isKept(start, end uintptr) bool {
	return slices.ContainsFunc(placements.kept, func(bytes []byte) bool {
		first := uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))
		return first <= start*Granule && end*Granule <= first+uintptr(len(bytes))
	})
}

// at returns the granules as a part of the slice that they are in.
func at(start, count uintptr) []byte {
	for _, bytes := range placements.kept {
		first := uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))
		if first <= start*Granule && start*Granule < first+uintptr(len(bytes)) {
			from := start*Granule - first
			return bytes[from : from+count*Granule : from+count*Granule]
		}
	}
	panic("unreachable")
}
