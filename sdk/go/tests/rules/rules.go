// A stage that tests the package: its error is what doesn't hold. Its argument is `off` on a host that can't map.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"mappable"
	"mappable/stage"
)

const g = mappable.Granule

func init() { stage.Export(run) }

func main() {}

var canMap = true

// What doesn't hold, the first.
var failed error

// expect notes where it is called, unless that holds.
func expect(holds bool) {
	if !holds && failed == nil {
		_, file, line, _ := runtime.Caller(1)
		failed = fmt.Errorf("%s:%d", file[strings.LastIndex(file, "/")+1:], line)
	}
}

func fails(expected mappable.Error, err error) bool { return errors.Is(err, expected) }

// must is for what does not fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func allAre(bytes []byte, value byte) bool {
	for _, b := range bytes {
		if b != value {
			return false
		}
	}
	return true
}

func run(region *mappable.Region, header stage.Header, args []string) (*mappable.Region, stage.Header, error) {
	canMap = len(args) == 0
	held := mappable.Held()
	aRegionIsZeroAndHasASizeAndALength()
	whatIsWrittenStays()
	bytesAreReadAndWrittenWithoutMapping()
	theCollectorAndRegionsLeaveOneAnotherAlone()
	placementsAreUsedAgainAndMerge()
	aPlacementOfOnesOwnIsCheckedByTheHost()
	frozenBytesAreSharedAndThawed()
	aPrivateMappingIsWrittenToAlone()
	regionsAreSplitAndJoined()
	goroutinesMapAtTheSameTime()
	expect(mappable.Held() == held)
	return region, header, failed
}

func aRegionIsZeroAndHasASizeAndALength() {
	_, err := mappable.Allocate(0)
	expect(fails(mappable.ErrInvalidRegionSize, err))
	region := must(mappable.Allocate(100_000))
	defer func() { region.Drop() }()
	expect(region.Len() == 100_000 && region.Size() == 2*g)
	expect(fails(mappable.ErrRangeOutsideRegion, region.SetLen(2*g+1)))
	expect(region.SetLen(5) == nil)
	// It is mapped whole, though its length would need less.
	mapped := must(region.Map())
	expect(len(mapped.Bytes()) == 5 && cap(mapped.Bytes()) == 5 && len(mapped.All()) == 2*g && allAre(mapped.All(), 0))
	expect(region.IsGone() && mapped.IsByCopy() != canMap)
	mapped.All()[2*g-1] = 9
	region = mapped.Unmap()
	var last [1]byte
	must(region.ReadAt(last[:], 2*g-1))
	expect(last[0] == 9)
}

func whatIsWrittenStays() {
	region := must(mappable.Allocate(3 * g))
	mapped := must(region.Map())
	at := unsafe.SliceData(mapped.Bytes())
	for i := range mapped.Bytes() {
		mapped.Bytes()[i] = 7
	}
	region = mapped.Unmap()
	// The same placement: it is the lowest that is free.
	mapped = must(region.Map())
	expect(unsafe.SliceData(mapped.Bytes()) == at && uintptr(unsafe.Pointer(at))%g == 0 && allAre(mapped.Bytes(), 7))
	mapped.Drop()
	mapped.Drop()
}

func bytesAreReadAndWrittenWithoutMapping() {
	const size = 40 * g
	data, back := make([]byte, size), make([]byte, size)
	for i := range data {
		data[i] = byte(i % 251)
	}
	region := must(mappable.Allocate(size))
	defer region.Drop()
	must(region.WriteAt(data, 0))
	// In three pieces.
	expect(must(region.ReadAt(back[:size-1], 1)) == size-1)
	expect(bytes.Equal(back[:size-1], data[1:]))
	must(region.ReadAt(back[:0], size))
	back[0] = 77
	for _, offset := range []int64{size, 1, -1} {
		_, err := region.ReadAt(back, offset)
		expect(fails(mappable.ErrRangeOutsideRegion, err))
	}
	_, err := region.WriteAt(data[:1], size)
	expect(fails(mappable.ErrRangeOutsideRegion, err) && back[0] == 77)
}

// A collection neither reads nor writes what is mapped, and what is mapped is over nothing of the heap's.
func theCollectorAndRegionsLeaveOneAnotherAlone() {
	var mapped [4]*mappable.Mapped
	for i := range mapped {
		mapped[i] = must(must(mappable.Allocate(uint64(i+1) * 3 * g)).Map())
	}
	addresses := make([]uintptr, 0, 1<<16)
	for range cap(addresses) {
		addresses = append(addresses, uintptr(unsafe.Pointer(unsafe.SliceData(addresses))))
	}
	for round := range 4 {
		for i := range mapped {
			// What looks like pointers into the heap.
			all := unsafe.Slice((*uintptr)(unsafe.Pointer(unsafe.SliceData(mapped[i].All()))), len(mapped[i].All())/8)
			copy(all, addresses)
		}
		garbage := make([][]byte, 200)
		for i := range garbage {
			garbage[i] = bytes.Repeat([]byte{byte(i)}, 30_000+i*round)
		}
		runtime.GC()
		for i := range garbage {
			expect(allAre(garbage[i], byte(i)))
		}
		for i := range mapped {
			expect(*(*uintptr)(unsafe.Pointer(unsafe.SliceData(mapped[i].All()))) == addresses[0])
			if round%2 == 1 {
				mapped[i] = must(mapped[i].Unmap().Map())
			}
		}
	}
	for i := range mapped {
		mapped[i].Drop()
	}
	runtime.GC()
}

func placementsAreUsedAgainAndMerge() {
	one, two, three := must(mappable.TakePlacement(5*g)), must(mappable.TakePlacement(6*g-1)), must(mappable.TakePlacement(5*g))
	expect(len(one) == 5*g && len(two) == 6*g && len(three) == 5*g)
	lowest := min(address(one), address(two), address(three))
	mappable.GivePlacement(one)
	mappable.GivePlacement(three)
	mappable.GivePlacement(two)
	again := must(mappable.TakePlacement(5 * g))
	expect(address(again) == lowest)
	mappable.GivePlacement(again)
	// Sixteen granules that were cut up are whole again.
	parts := make([][]byte, 16)
	whole := must(mappable.TakePlacement(16 * g))
	mappable.GivePlacement(whole)
	for i := range parts {
		parts[i] = must(mappable.TakePlacement(g))
	}
	for i := range parts {
		mappable.GivePlacement(parts[i*7%16])
	}
	again = must(mappable.TakePlacement(16 * g))
	expect(address(again) <= address(whole))
	mappable.GivePlacement(again)
	huge := must(mappable.TakePlacement(33 * g))
	expect(address(huge)%(32*g) == 0)
	mappable.GivePlacement(huge)
	for _, size := range []uint64{0, 1 << 32, 1<<64 - 1} {
		_, err := mappable.TakePlacement(size)
		expect(fails(mappable.ErrMemoryFull, err))
	}
}

func address(bytes []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(bytes))) }

func aPlacementOfOnesOwnIsCheckedByTheHost() {
	own := must(mappable.TakePlacement(2 * g))
	defer func() { mappable.GivePlacement(own) }()
	own[0] = 3
	region := must(mappable.Allocate(2 * g))
	defer func() { region.Drop() }()
	at := func(placement []byte) error {
		_, err := region.MapAt(placement)
		return err
	}
	if !canMap {
		mapped, err := region.MapAt(own)
		expect(fails(mappable.ErrPlacementUnmappable, err))
		mapped.Drop()
		return
	}
	expect(fails(mappable.ErrPlacementMisaligned, at(own[8:g])))
	expect(fails(mappable.ErrPlacementMisaligned, at(own[:0])))
	expect(fails(mappable.ErrPlacementTooSmall, at(own[:g])))
	mapped := must(region.MapAt(own))
	expect(address(mapped.Bytes()) == address(own) && own[0] == 0)
	second := must(mappable.Allocate(1))
	_, err := second.MapAt(own[g:])
	expect(fails(mappable.ErrPlacementOverlaps, err))
	second.Drop()
	region = mapped.Unmap()
	expect(own[0] == 3)
}

func frozenBytesAreSharedAndThawed() {
	region := must(mappable.Allocate(3 * g))
	must(region.WriteAt([]byte("hello"), g))
	frozen := region.Freeze()
	expect(region.IsGone() && frozen.Size() == 3*g && frozen.Len() == 3*g)
	clone := must(frozen.Clone())
	_, err := frozen.Slice(5, g)
	expect(fails(mappable.ErrPartMisaligned, err))
	_, err = frozen.Slice(3*g, 1)
	expect(fails(mappable.ErrPartOutsideRegion, err))
	slice := must(frozen.Slice(g, 5))
	expect(slice.Len() == 5 && slice.Size() == g)

	one, two := must(clone.Map()), must(slice.Map())
	expect(one.IsByCopy() != canMap)
	expect(string(two.Bytes()) == "hello" && string(one.Bytes()[g:g+5]) == "hello")
	var word [5]byte
	must(frozen.ReadAt(word[:], g))
	expect(string(word[:]) == "hello")
	_, err = frozen.ReadAt(word[:1], 3*g)
	expect(fails(mappable.ErrRangeOutsideRegion, err))

	other := must(frozen.Copy())
	must(other.WriteAt([]byte("j"), g))
	expect(two.Bytes()[0] == 'h')
	other.Drop()

	_, err = frozen.Thaw()
	expect(fails(mappable.ErrStillShared, err))
	one.Unmap().Drop()
	two.Drop()
	two.Drop()
	region = must(frozen.Thaw())
	must(region.WriteAt([]byte("j"), g))
	region.Drop()
}

func aPrivateMappingIsWrittenToAlone() {
	region := must(mappable.Allocate(2 * g))
	must(region.WriteAt([]byte("hello"), 0))
	frozen := region.Freeze()
	defer frozen.Drop()
	mapped := must(must(frozen.Clone()).MapPrivate())
	mapped.Bytes()[0] = 'j'
	var first [1]byte
	must(frozen.ReadAt(first[:], 0))
	expect(first[0] == 'h' && mapped.Bytes()[0] == 'j')
	clone := mapped.Unmap()
	must(clone.ReadAt(first[:], 0))
	expect(first[0] == 'h')
	must(clone.MapPrivate()).Drop()
}

func regionsAreSplitAndJoined() {
	region := must(mappable.Allocate(3 * g))
	_, _, err := region.Split(5)
	expect(fails(mappable.ErrPartMisaligned, err))
	_, _, err = region.Split(3 * g)
	expect(fails(mappable.ErrPartOutsideRegion, err))
	low, high, err := region.Split(g)
	expect(err == nil && region.IsGone() && low.Size() == g && high.Size() == 2*g)
	_, err = high.Join(low)
	expect(fails(mappable.ErrNotNeighbours, err) && !low.IsGone() && !high.IsGone())
	mapped := must(high.Map())
	mapped.Bytes()[0] = 8
	high = mapped.Unmap()
	region = must(low.Join(high))
	var one [1]byte
	must(region.ReadAt(one[:], g))
	expect(one[0] == 8 && low.IsGone() && high.IsGone() && region.Size() == 3*g)
	region.Drop()
}

func goroutinesMapAtTheSameTime() {
	done := make(chan bool)
	for i := range 8 {
		go func() {
			ok := true
			for round := range 20 {
				mapped := must(must(mappable.Allocate(uint64(i+1) * g)).Map())
				value := byte(i*20 + round)
				for at := range mapped.Bytes() {
					mapped.Bytes()[at] = value
				}
				runtime.Gosched()
				ok = ok && allAre(mapped.Bytes(), value)
				mapped.Drop()
			}
			done <- ok
		}()
	}
	for range 8 {
		expect(<-done)
	}
}
