package mappable

import (
	"sync"
	"unsafe"
)

// Where the host puts lists. While it asks for room the component may call nobody, and Go's allocator may want to know the time. So the
// room is there before, and what hands it out allocates nothing, does not grow the stack and never waits.

// The room that there is without ReserveLists.
var firstRoom [64 << 10]byte

// What keeps other room alive.
var reserved []byte

// The room: what is left begins at next. They are addresses.
var listNext, listEnd, listBegin uintptr

// Where the bytes of the ReadAt that is running go, and how many. Goroutines read one after the other.
var (
	readTo, readSize uintptr
	// The same as a slice, so that they are no variable on a stack, which moves when it grows.
	readInto []byte
	reading  sync.Mutex
)

// What every host returns at once.
const piece = 1 << 20

// ReserveLists makes room for lists of so many bytes together, those that the host passes to an export or returns from an import. Call it
// in an init function: 64 KiB are there without. FreeLists makes the room free again.
func ReserveLists(size int) {
	reserved = make([]byte, size)
	listBegin = uintptr(unsafe.Pointer(unsafe.SliceData(reserved)))
	listNext, listEnd = listBegin, listBegin+uintptr(size)
}

// FreeLists frees what the host has put into lists. An export calls it when it has copied what it was passed.
func FreeLists() { listNext = listBegin }

// ListString returns a copy of a string that the host has passed, by its address and length.
func ListString(address, length uint32) string {
	if length == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(pointer(address)), length))
}

// ListOf returns the items of a list that the host has passed, by its address and length, where they are. They are there until FreeLists.
func ListOf[T any](address, length uint32) []T {
	if length == 0 {
		return nil
	}
	return unsafe.Slice((*T)(pointer(address)), length)
}

func pointer(address uint32) unsafe.Pointer {
	if uintptr(address) < listBegin || uintptr(address) >= listNext {
		panic(noList)
	}
	if reserved != nil {
		return unsafe.Add(unsafe.Pointer(unsafe.SliceData(reserved)), uintptr(address)-listBegin)
	}
	return unsafe.Add(unsafe.Pointer(&firstRoom), uintptr(address)-listBegin)
}

// The room for a list of the host's.
//
//go:wasmexport cabi_realloc
//go:nosplit
func realloc(old, oldSize, align, size uint32) uint32 {
	if size == 0 {
		// Nothing to be had is any address that is aligned.
		return align
	}
	if readTo != 0 && oldSize == 0 && uintptr(size) == readSize {
		// What is read goes where it is wanted.
		at := readTo
		readTo = 0
		return uint32(at)
	}
	if listBegin == 0 {
		listBegin = uintptr(unsafe.Pointer(&firstRoom))
		listNext, listEnd = listBegin, listBegin+unsafe.Sizeof(firstRoom)
	}
	at := (listNext + uintptr(align) - 1) &^ (uintptr(align) - 1)
	if at > listEnd || uintptr(size) > listEnd-at {
		mappable_the_host_passes_longer_lists_than_there_is_room_for_so_call_ReserveLists_in_init()
	}
	listNext = at + uintptr(size)
	for i := uintptr(0); i < uintptr(min(oldSize, size)); i++ {
		*(*byte)(unsafe.Add(unsafe.Pointer(nil), at+i)) = *(*byte)(unsafe.Add(unsafe.Pointer(nil), uintptr(old)+i))
	}
	return uint32(at)
}

// Ends the component. Its name is what is wrong: every engine's backtrace has it.
func mappable_the_host_passes_longer_lists_than_there_is_room_for_so_call_ReserveLists_in_init()

// What the adapter of WASI preview 1 keeps in a component, two blocks of 64 KiB. It asks for them before Go's runtime is there.
var adapterRoom [129 << 10]byte

var adapterUsed uintptr

//go:wasmexport cabi_realloc_adapter
//go:nosplit
func adapterRealloc(_, _, align, size uint32) uint32 {
	begin := uintptr(unsafe.Pointer(&adapterRoom))
	at := (begin + adapterUsed + uintptr(align) - 1) &^ (uintptr(align) - 1)
	adapterUsed = at + uintptr(size) - begin
	if adapterUsed > unsafe.Sizeof(adapterRoom) {
		mappable_the_adapter_of_WASI_needs_more_room_than_this_package_has()
	}
	return uint32(at)
}

func mappable_the_adapter_of_WASI_needs_more_room_than_this_package_has()

// readAll fills p with bytes of a region or reference, from offset on. Nothing is read if not all can be.
func readAll(read func(handle uint32, offset uint64, length uint32, to *answer), handle uint32, size, offset uint64, p []byte) error {
	if offset > size || uint64(len(p)) > size-offset {
		return ErrRangeOutsideRegion
	}
	reading.Lock()
	defer reading.Unlock()
	for at := 0; at < len(p); at += piece {
		part := p[at:min(at+piece, len(p))]
		var a answer
		readInto = part
		readTo, readSize = uintptr(unsafe.Pointer(unsafe.SliceData(part))), uintptr(len(part))
		read(handle, offset+uint64(at), uint32(len(part)), &a)
		readTo, readInto = 0, nil
		if a.isError != 0 {
			return accessError(uint8(a.first))
		}
		if uintptr(a.first) != uintptr(unsafe.Pointer(unsafe.SliceData(part))) {
			panic(hostRefused)
		}
	}
	return nil
}
