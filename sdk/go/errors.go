package mappable

// An Error says why a call changed nothing: an error of the interface by its name there, or one of this package's. Compare with
// errors.Is or ==.
type Error uint8

const (
	// Map. The first three can't happen at placements that this package chooses.
	ErrPlacementMisaligned Error = iota + 1
	ErrPlacementTooSmall
	ErrPlacementOverlaps
	// Map copies instead, and MapAt returns it; so with ErrMappingsExhausted.
	ErrPlacementUnmappable
	ErrMappingOverQuota
	ErrMappingsExhausted
	// Allocate, Clone, Copy, Split and Slice.
	ErrInvalidRegionSize
	ErrRegionOverQuota
	ErrRegionsExhausted
	// Split and Slice.
	ErrPartMisaligned
	ErrPartOutsideRegion
	// ReadAt, WriteAt and SetLen.
	ErrRangeOutsideRegion
	ErrListTooLong
	// Join.
	ErrNotNeighbours
	// Thaw.
	ErrStillShared
	// Map.
	ErrMemoryFull
)

// Error returns a sentence that says what is wrong and what helps.
func (e Error) Error() string {
	switch e {
	case ErrPlacementMisaligned:
		return "mappable: the placement is empty, or does not begin and end at multiples of 65536"
	case ErrPlacementTooSmall:
		return "mappable: the placement is shorter than the region: Size says how long it must be"
	case ErrPlacementOverlaps:
		return "mappable: something is mapped in a part of the placement: unmap that, or map elsewhere"
	case ErrPlacementUnmappable:
		return "mappable: the host can't map into this memory: read and write the region"
	case ErrMappingOverQuota:
		return "mappable: one more mapping is over the quota that the host has set: unmap others"
	case ErrMappingsExhausted:
		return "mappable: the host has no mapping left: unmap others"
	case ErrInvalidRegionSize:
		return "mappable: a region can't be allocated for 0 bytes: ask for one at the least"
	case ErrRegionOverQuota:
		return "mappable: one more region, or one of this size, is over the quota that the host has set: drop others"
	case ErrRegionsExhausted:
		return "mappable: the host has no room for a region of this size"
	case ErrPartMisaligned:
		return "mappable: a part of a region begins at a multiple of 65536"
	case ErrPartOutsideRegion:
		return "mappable: a part of a region is not empty, and inside the region"
	case ErrRangeOutsideRegion:
		return "mappable: the range, or the length, is not inside the region: Size says where it ends"
	case ErrListTooLong:
		return "mappable: the host doesn't return so many bytes at once"
	case ErrNotNeighbours:
		return "mappable: the regions are not neighbours in one allocation, in this order"
	case ErrStillShared:
		return "mappable: there are other references to the frozen bytes: drop them, or copy"
	case ErrMemoryFull:
		return "mappable: a component's memory has 4 GiB at most: the region can't be mapped"
	}
	return "mappable: an error that this package doesn't know"
}

// A mistake is what this package panics with where it is used wrongly.
type mistake string

func (m mistake) Error() string { return "mappable: " + string(m) }

const (
	regionGone  mistake = "this region is gone: it was mapped, frozen, split, joined, given away or dropped before"
	frozenGone  mistake = "this frozen reference is gone: it was mapped, thawed, given away or dropped before"
	notMapped   mistake = "nothing is mapped here: it was unmapped or dropped before"
	joinsItself mistake = "a region can't be joined with itself"
	notTaken    mistake = "this placement is not taken: it was given back before, or is none of TakePlacement"
	hostRefused mistake = "the host refused what the interface says can't fail"
	noList      mistake = "this list is none that the host has passed, or it was freed"
)

func allocateError(code uint32) Error {
	switch code & 0xff {
	case 0:
		return ErrInvalidRegionSize
	case 1:
		return ErrRegionOverQuota
	}
	return ErrRegionsExhausted
}

func partError(code uint32) Error {
	switch code & 0xff {
	case 0:
		return ErrPartMisaligned
	case 1:
		return ErrPartOutsideRegion
	}
	return ErrRegionOverQuota
}

func accessError(code uint8) Error {
	if code == 0 {
		return ErrRangeOutsideRegion
	}
	return ErrListTooLong
}

func mapError(code uint32) Error {
	switch code & 0xff {
	case 0:
		return ErrPlacementMisaligned
	case 1:
		return ErrPlacementTooSmall
	case 2:
		return ErrPlacementOverlaps
	case 4:
		return ErrPlacementUnmappable
	case 5:
		return ErrMappingOverQuota
	case 6:
		return ErrMappingsExhausted
	}
	panic(hostRefused)
}
