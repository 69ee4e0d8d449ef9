/* What programs read of filters, and what they write: the maps that Go shares with them, and the words
 * of the flat form (dataplane/filter/flat.go). */
#pragma once

#include "filterkey.h"

enum filter_verdict {
	FILTER_PASS, FILTER_DROP, FILTER_INSTANCE, FILTER_NEXT_HOP, FILTER_UP,
	FILTER_AGAIN, /* of filter_step alone */
};

enum filter_kind {
	KIND_ACCEPT, KIND_DISCARD, KIND_REJECT, KIND_NEXT_TERM, KIND_NEXT_FILTER, KIND_INSTANCE, KIND_NEXT_HOP
};

enum filter_does {
	DOES_DSCP = 1, DOES_LOSS = 2, DOES_CLASS = 4, DOES_MARK = 8, DOES_MIRROR = 16, DOES_LOG = 32, DOES_POLICE = 64
};

enum filter_form { FORM_ONE, FORM_WHOLE, FORM_RANKED };

enum filter_layout {
	FLAT_HEADER = 4, FLAT_COLUMN = 4, FLAT_TERM = 4, FLAT_STRIDE = 1 << 30, FLAT_STRIDE_SHIFT = 26,
	FLAT_STRIDE_BITS = 15, FILTER_TRIE_STEPS = 18, FILTER_COLUMNS = 22,
	FILTER_HITS = 16,     /* terms and filters that one packet may meet */
	FILTER_STEPS = 64,   /* words and terms that one search may look at */
	BOUND_HEADER = 2, BOUND_NODE = 3,
	FLAT_POLICER = 9, FLAT_POLICER_COLOUR = 6,
	BUCKETS = 16384,
};

enum policer_kind { TWO_COLOUR, SINGLE_RATE, TWO_RATE };
enum colour { GREEN, YELLOW, RED };

#define NO_TERM 0xffffffffU

/* Set before loading: the two-word counts of one processor in `filter_counts`, as a power of two, and the
 * words of all less one. */
volatile const __u32 filter_count_shift;
volatile const __u32 filter_count_mask;

/* The programs, and what bounds lead to: a mapped array of one value. */
__u64 filters[1] SEC(".data.filters");

/* The counts, likewise; the size is set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4096);
} filter_counts SEC(".maps");

/* Words of policers' buckets, which the user path takes from, too. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, BUCKETS * 8);
} filter_buckets SEC(".maps");

/* A term that a packet has met. */
struct filter_hit {
	__u32 tally;   /* 0 counts nothing */
	__u32 own;     /* the place's own */
	__u32 policer; /* place of the policer; 0 for none */
	__u8 does;     /* of what the term writes, what commit has to write again */
	__u8 dscp;
	__u8 loss;     /* that the policer sees */
	__u8 hook;
};

/* What the loop of a search carries from turn to turn stands in memory: of what it finds there the
 * verifier knows nothing, so that it goes through a turn but once. In registers it would follow every
 * way through every turn. */
struct filter_turn {
	__u64 m;     /* terms of a word that are left to look at */
	__u64 words; /* words that are left */
	__u32 first; /* where the order of the word's terms begins, in halves */
	__u32 best;  /* the first term found as yet */
	__u32 group; /* the next 64 words */
};

struct filter_scratch {
	struct filter_key key;
	__u32 vector[FILTER_COLUMNS + 2];
	struct filter_hit hits[2 * FILTER_HITS];
	struct filter_turn turn;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct filter_scratch);
} filter_scratch SEC(".maps");

static __always_inline struct filter_scratch *filter_room(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&filter_scratch, &zero);
}

/* Stand-ins for the size of `filters` less 8 and 4 octets: Go looks for an AND with one of them and puts
 * in what the array has when it loads the program, as for tables.h. */
#define MASK_FILTER_WORD 0x7e57ac08
#define MASK_FILTER_HALF 0x7e57ac04

#define FILTER_BOUND(offset, mask) asm volatile("%0 &= " #mask : "+r"(offset))
#define FILTER_BOUNDED(offset, mask) FILTER_BOUND(offset, mask)

static __always_inline char *filter_memory(void)
{
	char *p = (char *)filters;

	asm volatile("" : "+r"(p)); /* the compiler believes that it is small */
	return p;
}

static __always_inline __u64 WORD(__u32 at)
{
	__u64 offset = (__u64)at << 3;

	FILTER_BOUNDED(offset, MASK_FILTER_WORD);
	return *(volatile __u64 *)(filter_memory() + offset);
}

static __always_inline __u32 HALF(__u32 at)
{
	__u64 offset = (__u64)at << 2;

	FILTER_BOUNDED(offset, MASK_FILTER_HALF);
	return *(volatile __u32 *)(filter_memory() + offset);
}
