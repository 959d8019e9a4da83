// A stage in Go: inverts the colours of a picture, in the region that it is handed.
package main

import (
	"encoding/binary"
	"errors"

	"mappable"
	"mappable/stage"
)

func init() { stage.Export(invert) }

func main() {}

func invert(region *mappable.Region, header stage.Header, args []string) (*mappable.Region, stage.Header, error) {
	if len(args) > 0 {
		return nil, header, errors.New("invert takes no arguments")
	}
	if header.Pixels == stage.Encoded {
		return nil, header, errors.New("this stage works on pixels, and the picture is a file: decode it first")
	}
	mapped, err := region.Map() // region is empty now
	if err != nil {
		return nil, header, err
	}
	inverse := uint64(0xffff_ffff_ffff_ffff)
	if header.Pixels == stage.RGBA8 {
		inverse = 0x00ff_ffff_00ff_ffff // alpha stays
	}
	picture := mapped.Bytes()[:header.Size]
	// Eight bytes at once: a loop over bytes takes many times as long.
	for ; len(picture) >= 8; picture = picture[8:] {
		binary.LittleEndian.PutUint64(picture, binary.LittleEndian.Uint64(picture)^inverse)
	}
	for i := range picture {
		picture[i] ^= byte(inverse >> (8 * i))
	}
	return mapped.Unmap(), header, nil
}
