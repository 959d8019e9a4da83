// A stage that does what its argument says, mostly wrong.
package main

import (
	"errors"

	"mappable"
	"mappable/stage"
)

func init() { stage.Export(misbehave) }

func main() {}

func misbehave(region *mappable.Region, header stage.Header, args []string) (*mappable.Region, stage.Header, error) {
	if len(args) == 0 {
		return region, header, nil
	}
	another, err := mappable.Allocate(mappable.Granule)
	if err != nil {
		return nil, header, err
	}
	switch args[0] {
	case "leave_mapped":
		another.Map()
		return region, header, nil
	case "fail_while_mapped":
		region.Map()
		return nil, header, errors.New("it is mapped")
	case "return_while_mapped":
		region.Map()
	case "leak":
		return region, header, nil
	case "drop":
		region.Drop()
		another.Drop()
		return nil, header, errors.New("it was dropped, and that is all right")
	case "drop_and_return":
		region.Drop()
	case "another":
		another.Drop()
		another, err = mappable.Allocate(region.Len())
		region.Drop()
		return another, header, err
	case "lie":
		another.Drop()
		header.Size = 1<<64 - 1
		return region, header, nil
	case "use_after_give":
		another.Give()
		another.SetLen(1)
	case "map_twice":
		another.Map()
		another.Map()
	case "unmap_twice":
		mapped, _ := another.Map()
		mapped.Unmap()
		mapped.Unmap()
	case "use_after_unmap":
		mapped, _ := another.Map()
		mapped.Unmap()
		mapped.Bytes()[0] = 1
	case "freeze_twice":
		frozen := another.Freeze()
		frozen.Give()
		frozen.Len()
	case "join_with_itself":
		another.Join(another)
	case "write_to_frozen":
		mapped, _ := another.Freeze().Map()
		mapped.Bytes()[0] = 1
	case "give_a_placement_twice":
		placement, _ := mappable.TakePlacement(1)
		mappable.GivePlacement(placement)
		mappable.GivePlacement(placement)
	case "give_a_part_of_a_placement_twice":
		// The free granules are one on each side.
		placement, _ := mappable.TakePlacement(3 * mappable.Granule)
		mappable.GivePlacement(placement[:mappable.Granule])
		mappable.GivePlacement(placement[2*mappable.Granule:])
		mappable.GivePlacement(placement[mappable.Granule:])
	case "give_what_is_no_placement":
		mappable.GivePlacement(make([]byte, mappable.Granule))
	case "too_much":
		another.Drop()
		for {
			large, err := mappable.Allocate(1 << 30)
			if err != nil {
				return nil, header, err
			}
			defer large.Drop()
		}
	default:
		return nil, header, errors.New("there is no such misbehaviour")
	}
	return region, header, nil
}
