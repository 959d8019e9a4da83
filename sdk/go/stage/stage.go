// Package stage makes a stage of a function: a component of the world mappable:stage/stage, as `mappable pipe` runs them.
//
//	func init() { stage.Export(invert) }
//
//	func main() {}
//
//	func invert(region *mappable.Region, header stage.Header, args []string) (*mappable.Region, stage.Header, error) { … }
package stage

import (
	"errors"
	"structs"
	"unsafe"

	"mappable"
)

// Pixels says what the bytes of a picture are.
type Pixels uint8

const (
	// A PNG or JPEG file. Width and height are 0.
	Encoded Pixels = iota
	// One byte for each pixel, luminance; no padding between rows.
	Gray8
	// Four bytes for each pixel, red, green, blue, alpha, not premultiplied; no padding between rows.
	RGBA8
)

// A Header is the format and size of a picture. Size is in bytes, from the region's first one on.
type Header struct {
	_             structs.HostLayout
	Pixels        Pixels
	Width, Height uint32
	Size          uint64
}

// A Func is handed a picture in a region, which it owns, and the words behind the stage's name. It returns a picture, in that region or
// another, and its header; or an error, which is one sentence for a person. The picture that it is handed is as large as the header says.
type Func func(region *mappable.Region, header Header, args []string) (*mappable.Region, Header, error)

var exported Func

// Export makes a function the stage's. Call it in an init function.
func Export(stage Func) { exported = stage }

// result<tuple<own<mappable>, header>, string>
type result struct {
	_       structs.HostLayout
	isError uint8
	_       [7]byte
	// The region; or where the error's text is, and how long.
	first, second uint32
	header        Header
}

// Both are read after the call has ended.
var (
	given result
	text  []byte
)

//go:wasmexport mappable:stage/step@0.1.0#run
func run(handle, pixels, width, height uint32, size uint64, words, count uint32) *result {
	before := mappable.Held()
	region := mappable.Take(handle)
	header := Header{Pixels: Pixels(pixels), Width: width, Height: height, Size: size}
	made, header, err := step(region, header, arguments(words, count))
	if err == nil {
		given = result{first: made.Give(), header: header}
	} else {
		region.Drop()
		text = []byte(err.Error())
		given = result{isError: 1, first: uint32(uintptr(unsafe.Pointer(unsafe.SliceData(text)))), second: uint32(len(text))}
	}
	if mappable.Held() != before {
		panic("mappable: the stage still has something mapped, or a region that it neither returns nor drops")
	}
	return &given
}

func arguments(words, count uint32) []string {
	args := make([]string, count)
	for i, word := range mappable.ListOf[[2]uint32](words, count) {
		args[i] = mappable.ListString(word[0], word[1])
	}
	mappable.FreeLists()
	return args
}

func step(region *mappable.Region, header Header, args []string) (*mappable.Region, Header, error) {
	if exported == nil {
		return nil, header, errors.New("the program calls stage.Export in no init function")
	}
	if err := header.check(region); err != nil {
		return nil, header, err
	}
	return exported(region, header, args)
}

func (h Header) check(region *mappable.Region) error {
	pixel := uint64(1)
	if h.Pixels == RGBA8 {
		pixel = 4
	}
	if h.Pixels != Encoded && (h.Size%pixel != 0 || h.Size/pixel != uint64(h.Width)*uint64(h.Height)) {
		return errors.New("the header's width and height don't go with its size")
	}
	if h.Size > region.Len() {
		return errors.New("the header says more bytes than there are")
	}
	return nil
}
