// Package mappable has regions of memory for components in Go: the interface mappable:memory/types.
//
//	region, err := mappable.Allocate(100_000)
//	mapped, err := region.Map() // region is empty now
//	clear(mapped.Bytes())       // these are the region itself, and nothing is copied
//	region = mapped.Unmap()     // mapped is empty now
//	defer region.Drop()
//
// Each of these types owns something. A method that takes it leaves it empty, and says so; after an error it is as it was. Drop does
// nothing to an empty one, so it can be deferred. Using an empty one otherwise is a mistake, and panics with a sentence that says what
// was wrong.
package mappable

import (
	"io"
	"unsafe"
)

// Granule is what sizes of regions and the bounds of parts are multiples of, in bytes.
const Granule = 65536

// Owners that are not empty.
var held int

// Held returns how many owners there are that are not empty. As many at the end of an export as at its beginning, give or take those that
// it is passed and returns, or something leaks.
func Held() int { return held }

// A Region is memory that this component owns and that is not mapped.
type Region struct{ handle uint32 }

var (
	_ io.ReaderAt = (*Region)(nil)
	_ io.WriterAt = (*Region)(nil)
)

// Allocate returns a new region whose length is so many bytes, not 0. They are zero.
func Allocate(length uint64) (*Region, error) {
	var a answer
	abiAllocate(length, &a)
	if a.isError != 0 {
		return nil, allocateError(a.first)
	}
	return Take(a.first), nil
}

// Take takes over a region that was handed to this component: an own<mappable>, by its number.
func Take(handle uint32) *Region {
	held++
	return &Region{handle}
}

// Give takes the region for its number, to be passed as an argument or a result.
func (r *Region) Give() uint32 {
	handle := r.use()
	r.handle = 0
	held--
	return handle
}

func (r *Region) use() uint32 {
	if r == nil || r.handle == 0 {
		panic(regionGone)
	}
	return r.handle
}

// Drop frees the region.
func (r *Region) Drop() {
	if r != nil && r.handle != 0 {
		abiDrop(r.Give())
	}
}

// IsGone reports whether the region is empty.
func (r *Region) IsGone() bool { return r == nil || r.handle == 0 }

// Size returns how many bytes there are: a multiple of Granule.
func (r *Region) Size() uint64 { return abiSize(r.use()) }

// Len returns how many of the bytes count.
func (r *Region) Len() uint64 { return abiLen(r.use()) }

// SetLen sets how many of the bytes count.
func (r *Region) SetLen(length uint64) error {
	var d done
	abiSetLen(r.use(), length, &d)
	if d.isError != 0 {
		return accessError(d.code)
	}
	return nil
}

// ReadAt copies bytes out of the region until p is full. It reads all of p, or nothing and ErrRangeOutsideRegion.
func (r *Region) ReadAt(p []byte, offset int64) (int, error) {
	if err := readAll(abiRead, r.use(), r.Size(), uint64(offset), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteAt copies all of p into the region, or nothing.
func (r *Region) WriteAt(p []byte, offset int64) (int, error) {
	var d done
	abiWrite(r.use(), uint64(offset), unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)), &d)
	if d.isError != 0 {
		return 0, accessError(d.code)
	}
	return len(p), nil
}

// Freeze takes the region and returns a reference to its bytes, which never change again.
func (r *Region) Freeze() *Frozen { return TakeFrozen(abiFreeze(r.Give())) }

// Split takes the region and returns its first bytes, so many, and the rest. at is a multiple of Granule.
func (r *Region) Split(at uint64) (low, high *Region, err error) {
	var a answer
	abiSplit(r.use(), at, &a)
	if a.isError != 0 {
		r.handle = a.first
		return nil, nil, partError(a.second)
	}
	r.Give()
	return Take(a.first), Take(a.second), nil
}

// Join takes two neighbours of one allocation, as Split returns them, and returns them as one.
func (r *Region) Join(high *Region) (*Region, error) {
	if r == high {
		panic(joinsItself)
	}
	var a answer
	abiJoin(r.use(), high.use(), &a)
	if a.isError != 0 {
		r.handle, high.handle = a.first, a.second
		return nil, ErrNotNeighbours
	}
	r.Give()
	high.Give()
	return Take(a.first), nil
}
