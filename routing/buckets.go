package routing

// Bounds of a group's table.
const (
	minBuckets = 256  // shares of few members come out within 1/256
	maxBuckets = 4096 // as many as the weights of a group can add up to
	perWeight  = 32   // buckets for each unit of weight, if there is room
)

// deal gives each bucket of a group's table to a member, by its index: to
// primaries while any is usable, else to backups, to each in proportion to its
// weight. There are a power of two of buckets, one when there is one member to
// choose, none when no member is usable.
//
// The result is a function of its arguments, without a history, and resilient
// all the same: to each bucket the members stand in a fixed order, and it
// belongs to the first one that is usable. So when a member goes, only its own
// buckets move, and when it comes back only those move that it had. What a
// member leaves behind is shared out among the others by the same rule.
func deal(members []member, usable []bool) []uint8 {
	var primaries, backups []uint8
	alive := [2]int{}
	for i, m := range members {
		if m.backup {
			backups = append(backups, uint8(i))
		} else {
			primaries = append(primaries, uint8(i))
		}
		if usable[i] {
			if m.backup {
				alive[1]++
			} else {
				alive[0]++
			}
		}
	}
	choice, n := primaries, alive[0]
	if n == 0 {
		choice, n = backups, alive[1]
	}
	switch n {
	case 0:
		return nil
	case 1:
		for _, i := range choice {
			if usable[i] {
				return []uint8{i}
			}
		}
	}
	table := make([]uint8, tableSize(members))
	all := make([]uint16, len(table))
	for i := range all {
		all[i] = uint16(i)
	}
	d := dealer{members: members, usable: usable, table: table}
	d.deal(all, choice)
	return table
}

// tableSize depends on the weights alone, so that a bucket stays the same one.
func tableSize(members []member) int {
	divisor, total := 0, 0
	for _, m := range members {
		a, b := divisor, int(m.weight)
		for b != 0 {
			a, b = b, a%b
		}
		divisor, total = a, total+int(m.weight)
	}
	size := minBuckets
	for size < maxBuckets && size < total/divisor*perWeight {
		size *= 2
	}
	return size
}

type dealer struct {
	members []member
	usable  []bool
	table   []uint8
}

// deal shares buckets out among choice by smooth weighted round robin, and those
// that fall to a member that isn't usable among the rest.
func (d *dealer) deal(buckets []uint16, choice []uint8) {
	total := 0
	for _, i := range choice {
		total += int(d.members[i].weight)
	}
	credit := make([]int, len(choice))
	lost := make([][]uint16, len(choice))
	for _, b := range buckets {
		best := 0
		for c, i := range choice {
			credit[c] += int(d.members[i].weight)
			if credit[c] > credit[best] {
				best = c
			}
		}
		credit[best] -= total
		if i := choice[best]; d.usable[i] {
			d.table[b] = i
		} else {
			lost[best] = append(lost[best], b)
		}
	}
	for c, l := range lost {
		if len(l) > 0 {
			rest := append(append(make([]uint8, 0, len(choice)-1), choice[:c]...), choice[c+1:]...)
			// Who gets what does not divide evenly is drawn anew each time.
			draw := (uint64(l[0])<<8 + uint64(len(rest))) * 0x9e3779b97f4a7c15 >> 32
			first := int(draw % uint64(len(rest)))
			d.deal(l, append(rest[first:len(rest):len(rest)], rest[:first]...))
		}
	}
}
