/* Policers in the fast path: the arithmetic of dataplane/filter's policer, on the same
 * words. A bucket is one word, the time at which it will be full again, in ticks of
 * 2^-7 ns; to take is one compare-and-swap, so that what both worlds take together is exact.
 */
#pragma once

#define TICK_BITS 7
#define COST_BITS 20
#define BUCKET_WRAPPED (1LL << 62)
#define NEVER_FITS ((1ULL << 60) + 1) /* more than any bucket's size */
#define POLICER_DROP (1ULL << 31)
/* How often a bucket is tried that others take from at the same time. Each failure is a packet of
 * theirs that got through, so that this many in a row don't happen; a packet that it happened to
 * would be over the rate. */
#define BUCKET_TRIES 16

/* bucket_ticks is how long units of a cost take, to the bit as in Go, which has 128 bits. */
static __always_inline __u64 bucket_ticks(__u64 units, __u64 cost)
{
	return (units * (cost >> 32) << (32 - COST_BITS)) + (units * (cost & 0xffffffff) >> COST_BITS);
}

/* bucket_debt is what a bucket owes now. */
static __always_inline __u64 bucket_debt(__u64 owes, __u64 now)
{
	__s64 debt = owes - now;

	return debt <= 0 || debt > BUCKET_WRAPPED ? 0 : debt;
}

static __always_inline __u64 *bucket_at(__u32 place)
{
	__u32 zero = 0;
	__u64 *words = bpf_map_lookup_elem(&filter_buckets, &zero);

	return words ? &words[place & (BUCKETS - 1)] : 0;
}

static __always_inline int bucket_swap(__u64 *word, __u64 from, __u64 to)
{
	return __sync_val_compare_and_swap(word, from, to) == from;
}

/* bucket_take takes ticks from a bucket if they are there. This and the others are functions of
 * their own so that the verifier goes through their loops but once. */
__noinline int bucket_take(__u32 place, __u64 now, __u64 ticks, __u64 size)
{
	volatile __u64 *word = bucket_at(place);

	for (int i = 0; word && i < BUCKET_TRIES; i++) {
		__u64 owes = *word, debt = bucket_debt(owes, now) + ticks;

		if (debt > size)
			return 0;
		if (bucket_swap((__u64 *)word, owes, now + debt))
			return 1;
	}
	return 0;
}

/* bucket_give lowers a debt that is a number of ticks, not an instant. */
__noinline int bucket_give(__u32 place, __u64 ticks)
{
	volatile __u64 *word = bucket_at(place);

	for (int i = 0; word && i < BUCKET_TRIES; i++) {
		__u64 owes = *word;

		if (!owes || bucket_swap((__u64 *)word, owes, owes > ticks ? owes - ticks : 0))
			return 1;
	}
	return 0;
}

/* bucket_take_debt takes from such a bucket. */
__noinline int bucket_take_debt(__u32 place, __u64 ticks, __u64 size)
{
	volatile __u64 *word = bucket_at(place);

	for (int i = 0; word && i < BUCKET_TRIES; i++) {
		__u64 owes = *word;

		if (owes + ticks > size)
			return 0;
		if (bucket_swap((__u64 *)word, owes, owes + ticks))
			return 1;
	}
	return 0;
}

/* bucket_take_over is bucket_take for a bucket whose surplus goes over to another: whoever
 * moves it on from an instant that has passed gives what came since. */
__noinline int bucket_take_over(__u32 place, __u64 now, __u64 ticks, __u64 size, __u32 other)
{
	volatile __u64 *word = bucket_at(place);

	for (int i = 0; word && i < BUCKET_TRIES; i++) {
		__u64 owes = *word, debt = bucket_debt(owes, now), next = now + debt, idle = 0;
		__s64 ahead = owes - now;
		int fits = debt + ticks <= size;

		if (ahead <= 0)
			idle = -ahead;
		else if (ahead > BUCKET_WRAPPED)
			idle = size;
		if (!fits && !idle)
			return 0;
		if (fits)
			next += ticks;
		if (next != owes && !bucket_swap((__u64 *)word, owes, next))
			continue;
		if (idle)
			bucket_give(other, idle);
		return fits;
	}
	return 0;
}

/* filter_police measures a packet and returns what its colour does: the colour's word. */
__noinline __u64 filter_police(__u32 policer, __u32 octets, __u32 loss)
{
	__u32 first, second;
	__u64 what, units, ticks, size;
	__u64 now = bpf_ktime_get_ns() << TICK_BITS;
	enum colour was = GREEN, is = GREEN;

	what = WORD(policer);
	first = WORD(policer + 5);
	second = WORD(policer + 5) >> 32;
	units = what >> 16 & 0xff ? 1 : octets;
	if (what >> 8 & 0xff)
		was = loss == 0 ? GREEN : loss < 3 ? YELLOW : RED;
	ticks = bucket_ticks(units, WORD(policer + 1));
	size = WORD(policer + 2);
	switch (what & 0xff) {
	case TWO_COLOUR:
		if (was != GREEN || !bucket_take(first, now, ticks, size))
			is = RED;
		break;
	case SINGLE_RATE:
		if (bucket_take_over(first, now, was == GREEN ? ticks : NEVER_FITS, size, second))
			break;
		is = was != RED && bucket_take_debt(second, ticks, WORD(policer + 4)) ? YELLOW : RED;
		break;
	case TWO_RATE:
		if (was == RED || !bucket_take(second, now, bucket_ticks(units, WORD(policer + 3)),
					       WORD(policer + 4)))
			is = RED;
		else if (was == YELLOW || !bucket_take(first, now, ticks, size))
			is = YELLOW;
		break;
	}
	return WORD(policer + FLAT_POLICER_COLOUR + is);
}
