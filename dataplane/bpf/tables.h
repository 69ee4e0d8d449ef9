/* The shared tables as a program reads them, and the route lookup of vrf/fib on
 * them.
 *
 * The tables are one value of a mapped array, so that reading a word is an AND,
 * an addition and a load: no call, no branch. The masks stand in the program's
 * text; Go puts in those of the size that the tables have when it loads the
 * program, and loads it anew when they grow.
 */
#pragma once

#include "layout.h"

/* Stand-ins for the sizes less 8, 4, 64 and 128 octets, and for that of the
 * tallies less 128: Go looks for an AND with one of these. */
#define MASK_WORD 0x7e57ab08
#define MASK_HALF 0x7e57ab04
#define MASK_LINE 0x7e57ab40
#define MASK_UNIT 0x7e57ab80
#define MASK_TALLY 0x7e57abc0

/* What stands at some offset of the tables. */
union record {
	__u64 word;
	struct port port;
	struct unit unit;
	struct neighbor neighbor;
	struct next_hop next_hop;
};

union record tables[1] SEC(".data.tables");
struct tally tallies[1] SEC(".data.tallies");

/* origin hides from the compiler how small it believes a table to be. */
static __always_inline char *origin(void *table)
{
	char *p = table;

	asm volatile("" : "+r"(p));
	return p;
}

#define BOUND(offset, mask) asm volatile("%0 &= " #mask : "+r"(offset))
#define BOUNDED(offset, mask) BOUND(offset, mask)

static __always_inline __u64 table_word(__u64 at)
{
	__u64 offset = at << 3;

	BOUNDED(offset, MASK_WORD);
	return *(volatile __u64 *)(origin(tables) + offset);
}

/* table_half reads a 32-bit value, at an offset that counts those. */
static __always_inline __u32 table_half(__u64 at)
{
	__u64 offset = at << 2;

	BOUNDED(offset, MASK_HALF);
	return *(volatile __u32 *)(origin(tables) + offset);
}

static __always_inline struct neighbor *neighbor_at(__u64 at)
{
	__u64 offset = at << 3;

	BOUNDED(offset, MASK_LINE);
	return (struct neighbor *)(origin(tables) + offset);
}

static __always_inline struct unit *unit_number(__u64 number)
{
	__u64 offset = number * sizeof(struct unit);

	BOUNDED(offset, MASK_UNIT);
	return (struct unit *)(origin(tables) + offset);
}

volatile const __u32 tally_stride; /* octets that a processor has of the tallies */

/* tally_base is where this processor's tallies begin. */
static __always_inline __u64 tally_base(void)
{
	return (__u64)bpf_get_smp_processor_id() * tally_stride;
}

static __always_inline struct tally *tally_at(__u64 base, __u32 place)
{
	__u64 offset = base + place * sizeof(struct tally);

	BOUNDED(offset, MASK_TALLY);
	return (struct tally *)(origin(tallies) + offset);
}

/* The processor has an instruction for this, BPF has not. */
static __always_inline __u32 count_bits(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = x + (x >> 4) & 0x0f0f0f0f0f0f0f0f;
	return x * 0x0101010101010101 >> 56;
}

/* What vrf/fib/block.go and root.go draw. */
#define FIB_INNER 2 /* word of a record: the root of 0 bits */
#define FIB_SKIP 1  /* of a reference: the block skips bits, */
#define FIB_KIDS 2  /* and has children */
#define FIB_PAGE 12 /* or names a page of an IPv6 root, */
#define FIB_LEVELS4 6
#define FIB_LEVELS6 22

/* A leaf that a block may have for an address: the block's reference, and its
 * bitmap as far as the address's slot; no bits, no leaf. */
struct leaf {
	__u64 ref, bits;
};

static __always_inline __u32 leaf_value(struct leaf *l)
{
	__u64 width = l->ref >> 2 & 3;
	__u64 at = (__u64)count_bits(l->bits & ~1ull) << width;

	return table_word((l->ref >> 4) + 1 + (at >> 3)) >> (at << 3 & 63) & ~0ull >> (64 - (8 << width) & 63);
}

/* fib_find is Lookup4 and Lookup6 of vrf/fib, with the address left-aligned in
 * hi and lo. The leaf of a block is looked at only when no block below has one:
 * of the last two it remembers where. */
static __always_inline __u32 fib_find(__u32 record, int family, __u64 hi, __u64 lo, int levels)
{
	__u64 root = table_word(record + family);
	__u64 bits = root & 63;
	__u64 slot = (root >> 32 << 1) + (hi >> 1 >> (63 - bits & 63));
	__u64 ref = table_half(slot), next = bits;
	__u32 best = 0;

	if (family && (ref & FIB_PAGE) == FIB_PAGE) {
		next = root >> 8 & 63;
		slot = (ref >> 4 << 1) + (hi << bits >> (64 - next & 63));
		ref = table_half(slot);
		bits = bits + next & 63;
	}
	hi <<= bits;
	if (family) {
		hi |= lo >> 1 >> (63 - bits & 63);
		lo <<= bits;
	}
	/* No bits, but the verifier does not know, and need not tell apart by which
	 * blocks a lookup came. */
	struct leaf last = { .bits = table_word(0) }, before = last;

	for (int level = 0; level < levels && ref; level++) {
		if (ref & FIB_SKIP) {
			__u64 skip = table_word((ref >> 4) - 1);
			__u64 n = skip & 63;

			if ((hi ^ skip) >> (64 - n & 63))
				break;
			if (family) {
				hi = hi << n | lo >> (64 - n & 63);
				lo <<= n;
			} else {
				hi <<= n;
			}
		}
		__u32 bit = hi >> 58;
		__u64 upto = ((__u64)2 << bit) - 1;

		if (family) {
			hi = hi << 6 | lo >> 58;
			lo <<= 6;
		} else {
			hi <<= 6;
		}
		__u64 leaves = table_word(ref >> 4) & upto;

		if (before.bits) {
			__u32 found = leaf_value(&before);

			if (found)
				best = found;
		}
		before = last;
		last.ref = ref;
		last.bits = leaves;
		if (!(ref & FIB_KIDS))
			break;
		__u64 at = (ref >> 4) - 1 - (ref & FIB_SKIP);
		__u64 kids = table_word(at);

		if (!(kids >> bit & 1))
			break;
		ref = table_half((at << 1) - count_bits(kids & upto));
	}
	if (last.bits) {
		__u32 found = leaf_value(&last);

		if (found)
			return found;
	}
	if (before.bits) {
		__u32 found = leaf_value(&before);

		if (found)
			return found;
	}
	if (!best)
		best = table_half(slot + (1ull << next));
	if (!best)
		best = table_half(2 * (record + FIB_INNER + family) + 1);
	return best;
}

/* Verified once each, however often they are called. */
__noinline __u32 fib_lookup4(__u32 record, __u32 address)
{
	return fib_find(record, 0, (__u64)address << 32, 0, FIB_LEVELS4);
}

__noinline __u32 fib_lookup6(__u32 record, __u64 hi, __u64 lo)
{
	return fib_find(record, 1, hi, lo, FIB_LEVELS6);
}
