package mappable

import "unsafe"

// What is mapped: at a placement, or copied there.
type mapping struct {
	// Of the mapping; of what is copied, otherwise. 0 once it was taken.
	handle   uint32
	all      []byte
	length   uint64
	isByCopy bool
	// The placement is the caller's.
	isPlaced bool
}

func (m *mapping) use() {
	if m == nil || m.handle == 0 {
		panic(notMapped)
	}
}

// Bytes returns the bytes that count. They are the region itself, or a copy where the host can't map. Use them no more after Unmap or
// Drop: what is there then is this component's own memory again.
func (m *mapping) Bytes() []byte {
	m.use()
	return m.all[:m.length:m.length]
}

// All returns all bytes, those behind the length included.
func (m *mapping) All() []byte {
	m.use()
	return m.all
}

// IsByCopy reports whether the bytes are a copy, since the host can't map.
func (m *mapping) IsByCopy() bool {
	m.use()
	return m.isByCopy
}

// end gives the placement back, and returns the handle that is left.
func (m *mapping) end(handle uint32) uint32 {
	if !m.isPlaced {
		GivePlacement(m.all)
	}
	*m = mapping{}
	held--
	return handle
}

// A Mapped is a region that is mapped.
type Mapped struct{ mapping }

// A MappedFrozen is a reference that is mapped for reading. A store to its bytes traps where the host protects pages.
type MappedFrozen struct{ mapping }

// A MappedPrivate is a reference that is mapped for reading and writing: what is written is this mapping's own, and is lost with it.
type MappedPrivate struct{ mapping }

type mapFunction = func(handle uint32, at unsafe.Pointer, atLen uint32, to *answer)
type readFunction = func(handle uint32, offset uint64, length uint32, to *answer)

// The host has said that it can't map into this memory at all. It is not asked again.
var isUnmappable bool

// mapAt maps at a placement. The handle becomes that of the mapping, or stays.
func mapAt(mapIt mapFunction, handle *uint32, at []byte) error {
	var a answer
	mapIt(*handle, unsafe.Pointer(unsafe.SliceData(at)), uint32(len(at)), &a)
	*handle = a.first
	if a.isError != 0 {
		return mapError(a.second)
	}
	return nil
}

// mapSomewhere maps at a placement of the pool, or copies there where the host can't map. It takes the handle if all is well.
func mapSomewhere(mapIt mapFunction, read readFunction, handle *uint32, length, size uint64) (mapping, error) {
	at, err := TakePlacement(size)
	if err != nil {
		return mapping{}, err
	}
	err = ErrPlacementUnmappable
	if !isUnmappable {
		err = mapAt(mapIt, handle, at)
	}
	mapped := mapping{*handle, at, length, err != nil, false}
	switch err {
	case nil:
	case ErrPlacementUnmappable, ErrMappingsExhausted:
		isUnmappable = isUnmappable || err == ErrPlacementUnmappable
		if err := readAll(read, *handle, size, 0, at); err != nil {
			panic(hostRefused)
		}
	default:
		GivePlacement(at)
		return mapping{}, err
	}
	*handle = 0
	return mapped, nil
}

// Map takes the region and maps it into this component's memory, at a placement that this package chooses. Where the host can't map it
// copies the region there, and Unmap copies it back.
func (r *Region) Map() (*Mapped, error) {
	r.use()
	mapped, err := mapSomewhere(abiMap, abiRead, &r.handle, r.Len(), r.Size())
	if err != nil {
		return nil, err
	}
	return &Mapped{mapped}, nil
}

// MapAt takes the region and maps it at a placement of TakePlacement's, or at memory of the caller's that nothing else uses. It never copies.
func (r *Region) MapAt(at []byte) (*Mapped, error) {
	r.use()
	length, size := r.Len(), r.Size()
	if err := mapAt(abiMap, &r.handle, at); err != nil {
		return nil, err
	}
	mapped := &Mapped{mapping{r.handle, at[:size:size], length, false, true}}
	r.handle = 0
	return mapped, nil
}

// Unmap takes the region out of this component's memory and returns it.
func (m *Mapped) Unmap() *Region {
	m.use()
	handle := m.handle
	if m.isByCopy {
		for at := 0; at < len(m.all); at += piece {
			part := m.all[at:min(at+piece, len(m.all))]
			var d done
			abiWrite(handle, uint64(at), unsafe.Pointer(unsafe.SliceData(part)), uint32(len(part)), &d)
			if d.isError != 0 {
				panic(hostRefused)
			}
		}
	} else {
		handle = unmap(abiUnmap, m.mapping)
	}
	return Take(m.end(handle))
}

// Drop takes the region out of this component's memory and frees it.
func (m *Mapped) Drop() {
	if m == nil || m.handle == 0 {
		return
	}
	if m.isByCopy {
		// What was written to the copy is nobody's.
		abiDrop(m.end(m.handle))
	} else {
		m.Unmap().Drop()
	}
}

func unmap(unmapIt mapFunction, m mapping) uint32 {
	var a answer
	unmapIt(m.handle, unsafe.Pointer(unsafe.SliceData(m.all)), uint32(len(m.all)), &a)
	if a.isError != 0 {
		panic(hostRefused)
	}
	return a.first
}

// Map takes the reference and maps its bytes for reading. Where the host can't map it copies them.
func (f *Frozen) Map() (*MappedFrozen, error) {
	f.use()
	mapped, err := mapSomewhere(abiFrozenMap, abiFrozenRead, &f.handle, f.Len(), f.Size())
	if err != nil {
		return nil, err
	}
	return &MappedFrozen{mapped}, nil
}

// MapPrivate takes the reference and maps its bytes for reading and writing. What is written is this mapping's own, is charged by granules,
// and is lost with it.
func (f *Frozen) MapPrivate() (*MappedPrivate, error) {
	f.use()
	mapped, err := mapSomewhere(abiFrozenMapPrivate, abiFrozenRead, &f.handle, f.Len(), f.Size())
	if err != nil {
		return nil, err
	}
	return &MappedPrivate{mapped}, nil
}

func (m *mapping) unmapFrozen() *Frozen {
	m.use()
	handle := m.handle
	if !m.isByCopy {
		handle = unmap(abiFrozenUnmap, *m)
	}
	return TakeFrozen(m.end(handle))
}

// Unmap takes the bytes out of this component's memory and returns the reference.
func (m *MappedFrozen) Unmap() *Frozen { return m.unmapFrozen() }

// Drop unmaps the bytes and drops the reference.
func (m *MappedFrozen) Drop() {
	if m != nil && m.handle != 0 {
		m.Unmap().Drop()
	}
}

// Unmap takes the bytes out of this component's memory and returns the reference. What was written is lost.
func (m *MappedPrivate) Unmap() *Frozen { return m.unmapFrozen() }

// Drop unmaps the bytes and drops the reference. What was written is lost.
func (m *MappedPrivate) Drop() {
	if m != nil && m.handle != 0 {
		m.Unmap().Drop()
	}
}
