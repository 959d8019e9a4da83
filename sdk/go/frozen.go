package mappable

import "io"

// A Frozen is a reference to bytes that never change.
type Frozen struct{ handle uint32 }

var _ io.ReaderAt = (*Frozen)(nil)

// TakeFrozen takes over a reference that was handed to this component: an own<frozen>, by its number.
func TakeFrozen(handle uint32) *Frozen {
	held++
	return &Frozen{handle}
}

// Give takes the reference for its number, to be passed as an argument or a result.
func (f *Frozen) Give() uint32 {
	handle := f.use()
	f.handle = 0
	held--
	return handle
}

func (f *Frozen) use() uint32 {
	if f == nil || f.handle == 0 {
		panic(frozenGone)
	}
	return f.handle
}

// Drop drops the reference. The last one frees the bytes.
func (f *Frozen) Drop() {
	if f != nil && f.handle != 0 {
		abiFrozenDrop(f.Give())
	}
}

// Size returns how many bytes it shows: a multiple of Granule.
func (f *Frozen) Size() uint64 { return abiFrozenSize(f.use()) }

// Len returns how many of the bytes count.
func (f *Frozen) Len() uint64 { return abiFrozenLen(f.use()) }

// ReadAt copies bytes until p is full. It reads all of p, or nothing and ErrRangeOutsideRegion.
func (f *Frozen) ReadAt(p []byte, offset int64) (int, error) {
	if err := readAll(abiFrozenRead, f.use(), f.Size(), uint64(offset), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Clone returns another reference to the same bytes.
func (f *Frozen) Clone() (*Frozen, error) {
	var a answer
	abiFrozenClone(f.use(), &a)
	if a.isError != 0 {
		return nil, allocateError(a.first)
	}
	return TakeFrozen(a.first), nil
}

// Slice returns a reference to so many bytes from offset on, which is a multiple of Granule.
func (f *Frozen) Slice(offset, length uint64) (*Frozen, error) {
	var a answer
	abiFrozenSlice(f.use(), offset, length, &a)
	if a.isError != 0 {
		return nil, partError(a.first)
	}
	return TakeFrozen(a.first), nil
}

// Copy returns a new region with a copy of the bytes.
func (f *Frozen) Copy() (*Region, error) {
	var a answer
	abiFrozenCopy(f.use(), &a)
	if a.isError != 0 {
		return nil, allocateError(a.first)
	}
	return Take(a.first), nil
}

// Thaw takes the reference, if it is the only one to these bytes, and returns them as a region again.
func (f *Frozen) Thaw() (*Region, error) {
	var a answer
	abiFrozenThaw(f.use(), &a)
	if a.isError != 0 {
		f.handle = a.first
		return nil, ErrStillShared
	}
	f.Give()
	return Take(a.first), nil
}
