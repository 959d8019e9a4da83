package mappable

import (
	"structs"
	"unsafe"
)

// Any of the results of the interface: what succeeded, or one handle or two and an error, which is in the low byte of the last word that
// is used.
type answer struct {
	_       structs.HostLayout
	isError uint8
	first   uint32
	second  uint32
}

// result<_, access-error>
type done struct {
	_       structs.HostLayout
	isError uint8
	code    uint8
}

// The functions of mappable:memory/types as the canonical ABI lowers them. Making a component holds these declarations to the interface.
// Results are written while the call runs, so they may be on the stack.

//go:wasmimport mappable:memory/types@0.1.0 [static]mappable.allocate
//go:noescape
func abiAllocate(length uint64, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [method]mappable.size
func abiSize(region uint32) uint64

//go:wasmimport mappable:memory/types@0.1.0 [method]mappable.len
func abiLen(region uint32) uint64

//go:wasmimport mappable:memory/types@0.1.0 [method]mappable.set-len
//go:noescape
func abiSetLen(region uint32, length uint64, to *done)

//go:wasmimport mappable:memory/types@0.1.0 [static]mappable.map
//go:noescape
func abiMap(region uint32, at unsafe.Pointer, atLen uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [method]mappable.read
//go:noescape
func abiRead(region uint32, offset uint64, length uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [method]mappable.write
//go:noescape
func abiWrite(region uint32, offset uint64, bytes unsafe.Pointer, length uint32, to *done)

//go:wasmimport mappable:memory/types@0.1.0 [static]mappable.freeze
func abiFreeze(region uint32) uint32

//go:wasmimport mappable:memory/types@0.1.0 [static]mappable.split
//go:noescape
func abiSplit(region uint32, at uint64, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [static]mappable.join
//go:noescape
func abiJoin(low, high uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [resource-drop]mappable
func abiDrop(region uint32)

//go:wasmimport mappable:memory/types@0.1.0 [static]mapping.unmap
//go:noescape
func abiUnmap(mapping uint32, at unsafe.Pointer, atLen uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [method]frozen.size
func abiFrozenSize(frozen uint32) uint64

//go:wasmimport mappable:memory/types@0.1.0 [method]frozen.len
func abiFrozenLen(frozen uint32) uint64

//go:wasmimport mappable:memory/types@0.1.0 [method]frozen.clone
//go:noescape
func abiFrozenClone(frozen uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [method]frozen.slice
//go:noescape
func abiFrozenSlice(frozen uint32, offset, length uint64, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [static]frozen.map
//go:noescape
func abiFrozenMap(frozen uint32, at unsafe.Pointer, atLen uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [static]frozen.map-private
//go:noescape
func abiFrozenMapPrivate(frozen uint32, at unsafe.Pointer, atLen uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [static]frozen.thaw
//go:noescape
func abiFrozenThaw(frozen uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [method]frozen.copy
//go:noescape
func abiFrozenCopy(frozen uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [method]frozen.read
//go:noescape
func abiFrozenRead(frozen uint32, offset uint64, length uint32, to *answer)

//go:wasmimport mappable:memory/types@0.1.0 [resource-drop]frozen
func abiFrozenDrop(frozen uint32)

//go:wasmimport mappable:memory/types@0.1.0 [static]frozen-mapping.unmap
//go:noescape
func abiFrozenUnmap(mapping uint32, at unsafe.Pointer, atLen uint32, to *answer)
