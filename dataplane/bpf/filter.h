/* Filters in the fast path: dataplane/filter's compiled programs in their flat form
 * (dataplane/filter/flat.go says how it is laid out), which Go writes to the map `filters`.
 *
 * filter_run judges a packet at a hook and changes nothing but what is in
 * struct filter_packet: not the packet, no count, no policer. When it is certain that the user
 * path won't see the packet, filter_commit counts and polices, or filter_tell counts where nothing
 * polices. So whatever the fast path can't do is handed up as if it had never been looked at.
 */
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

static const __u8 lowest[64] = {
	0,  1,  2,  53, 3,  7,  54, 27, 4,  38, 41, 8,  34, 55, 48, 28, 62, 5,  39, 46, 44, 42,
	22, 9,  24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
	23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
};

/* lowest_bit is the place of the lowest bit that is set in m, which isn't 0: a de Bruijn
 * sequence, since BPF has no such instruction. */
static __always_inline __u32 lowest_bit(__u64 m)
{
	return lowest[(m & -m) * 0x022fdd63cc95386dULL >> 58];
}

static __always_inline __u32 bit_count(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return x * 0x0101010101010101ULL >> 56;
}

/* trie_find finds the vector of a key, which stands at the left end of hi and lo. */
static __always_inline __u32 trie_find(__u32 image, __u32 e, __u64 hi, __u64 lo)
{
	for (int i = 0; i < FILTER_TRIE_STEPS; i++) {
		__u32 n;

		if (!(e >> 30))
			break;
		if (e >> 30 == 1) {
			n = e >> FLAT_STRIDE_SHIFT & FLAT_STRIDE_BITS;
			e = HALF(image * 2 + (e & ((1 << FLAT_STRIDE_SHIFT) - 1)) + (__u32)(hi >> ((64 - n) & 63)));
		} else {
			__u32 record = image + (e & (FLAT_STRIDE - 1));
			__u64 want = WORD(record), end = WORD(record + 2), have;

			n = end >> 32 & 63;
			have = hi >> ((64 - n) & 63);
			e = end;
			if (have != want) {
				__u64 sides = WORD(record + 1);

				e = have < want ? sides : sides >> 32;
				break;
			}
		}
		hi = hi << (n & 63) | lo >> ((64 - n) & 63);
		lo <<= n & 63;
	}
	return e & (FLAT_STRIDE - 1);
}

/* column_vector finds the vector of a packet's value in a column: where in the map it is. */
static __always_inline __u32 column_vector(__u32 image, __u64 column, __u32 at, struct filter_key *k)
{
	__u32 field = column & 0xff;
	__u64 hi, lo = 0;

	if (field >= FIELD_SRC_HI || !(k->has >> (field & 31) & 1))
		return image + (__u32)WORD(at + 1);
	hi = k->value[field & 31];
	if (column >> 8 & 1) {
		lo = hi;
		hi = k->value[field == FIELD_DST ? FIELD_DST_HI : FIELD_SRC_HI];
	} else {
		hi <<= column >> 16 & 63;
	}
	return image + trie_find(image, column >> 32, hi, lo);
}

/* residue_holds says whether the packet has the options that term record demands. */
static __always_inline int residue_holds(__u32 record, struct filter_key *k)
{
	__u64 r = WORD(record + 2);
	int some;

	if (!(r >> 40 & 1))
		return 1;
	some = (k->options & (__u32)r) != 0;
	return k->has & FIELD(OPTIONS) && some == !(r >> 48 & 1);
}

/* A search for the first term of a program, from a term on, that a packet matches. */
struct filter_search {
	__u32 image;
	__u32 from;
	__u32 terms, order, heads; /* places in the map */
};

/* What a search says instead of a term. */
#define SEARCH_END 0xfffffffeU    /* it would take too long */
#define SEARCH_RANKED 0xfffffffdU /* the vectors are found, and filter_ranked goes on */

static __always_inline __u32 search_one(struct filter_search *s, struct filter_scratch *x, __u64 m)
{
	if (s->from > 63)
		return NO_TERM;
	m &= ~0ULL << (s->from & 63);
	for (int i = 0; i < 64; i++) {
		__u32 t;

		if (!m)
			break;
		t = lowest_bit(m);
		if (residue_holds(s->terms + FLAT_TERM * t, &x->key))
			return t;
		m &= m - 1;
	}
	return NO_TERM;
}

/* search_term looks at the first of the terms m of a word, and returns those that are to be looked
 * at next. */
static __always_inline __u64 search_term(struct filter_search *s, struct filter_scratch *x, __u64 m)
{
	volatile struct filter_turn *n = &x->turn;
	__u32 t = HALF(n->first + lowest_bit(m));

	if (t >= n->best)
		return 0;
	if (t < s->from || !residue_holds(s->terms + FLAT_TERM * t, &x->key))
		return m & (m - 1);
	n->best = t;
	return 0;
}

/* word_terms is which terms of word w all columns let pass, of those in m. */
static __always_inline __u64 word_terms(struct filter_scratch *x, __u32 w, __u64 m)
{
	for (__u32 c = 0; c < FILTER_COLUMNS; c++) {
		__u32 v = x->vector[c];

		if (!v)
			break;
		m &= WORD(v + w);
	}
	return m;
}

/* filter_summary is which of 64 words, of those in words, may have terms that all columns let
 * pass. */
__noinline __u64 filter_summary(struct filter_scratch *x, __u32 image, __u32 group, __u64 words)
{
	if (!x)
		return 0;
	for (__u32 c = 0; c < FILTER_COLUMNS; c++) {
		__u32 v = x->vector[c], wild = WORD(image + FLAT_HEADER + FLAT_COLUMN * c + 2);

		if (!v)
			break;
		words &= WORD(v + 2 * group) | WORD(image + wild + group);
	}
	return words;
}

/* filter_ranked_word is word_terms for vectors with ranks. */
__noinline __u64 filter_ranked_word(struct filter_scratch *x, __u32 image, __u32 w, __u64 terms)
{
	__u64 bit = 1ULL << (w & 63);

	if (!x)
		return 0;
	for (__u32 c = 0; c < FILTER_COLUMNS; c++) {
		__u32 v = x->vector[c] + 2 * (w >> 6), wild = WORD(image + FLAT_HEADER + FLAT_COLUMN * c + 1) >> 32;
		__u64 holds = WORD(image + wild + w), summary = WORD(v);

		if (!x->vector[c])
			break;
		if (summary & bit) {
			__u32 rank = WORD(v + 1);

			holds |= WORD(image + rank + bit_count(summary & (bit - 1)));
		}
		terms &= holds;
		if (!terms)
			break;
	}
	return terms;
}

/* search_words goes through the words that may have terms which match: those in words and then, of
 * ranked vectors, those of the further groups of 64. */
static __always_inline __u32 search_words(struct filter_search *s, struct filter_scratch *x, __u64 words,
					  __u32 summaries, __u32 groups, const int ranked)
{
	volatile struct filter_turn *n = &x->turn;

	n->m = 0;
	n->words = words;
	n->group = ranked ? 0 : 1;
	n->best = NO_TERM;
	for (int i = 0; i < FILTER_STEPS; i++) {
		__u64 m = n->m, words;
		__u32 w;

		if (m) {
			n->m = search_term(s, x, m);
			continue;
		}
		words = n->words;
		w = n->group;
		if (!words) {
			if (!ranked || w >= groups)
				return n->best;
			n->words = filter_summary(x, s->image, w, WORD(summaries + w));
			n->group = w + 1;
			continue;
		}
		w = ((w - 1) << 6) + lowest_bit(words);
		n->words = words & (words - 1);
		m = WORD(s->heads + 2 * w + 1);
		if ((__u32)m >= n->best)
			return n->best;
		if (m >> 32 < s->from)
			continue;
		m = WORD(s->heads + 2 * w);
		n->m = ranked ? filter_ranked_word(x, s->image, w, m) : word_terms(x, w, m);
		n->first = s->order * 2 + (w << 6);
	}
	return SEARCH_END;
}

/* filter_ranked is search_words for ranked vectors, which only large filters have. */
__noinline __u32 filter_ranked(struct filter_scratch *x, __u32 image, __u32 from)
{
	struct filter_search s = { .image = image, .from = from };
	__u64 places = WORD(image + 2);

	if (!x)
		return SEARCH_END;
	s.terms = image + (__u32)(WORD(image + 1) >> 32);
	s.order = image + (__u32)places;
	s.heads = image + (__u32)(places >> 32);
	return search_words(&s, x, 0, image + (__u32)WORD(image + 3), ((WORD(image) >> 16 & 0xffff) + 63) >> 6, 1);
}

/* search is the first term from from on of the program at image that the key in
 * scratch matches, NO_TERM, or one of those above. */
static __always_inline __u32 search(struct filter_scratch *x, __u32 image, __u32 from)
{
	struct filter_search s = { .image = image, .from = from };
	__u64 head, places, m;
	__u32 form;

	head = WORD(image);
	places = WORD(image + 2);
	s.terms = image + (__u32)(WORD(image + 1) >> 32);
	s.order = image + (__u32)places;
	s.heads = image + (__u32)(places >> 32);
	if (from >= head >> 32)
		return NO_TERM;
	form = head >> 8 & 0xff;
	m = WORD(form == FORM_ONE ? s.heads : image + (__u32)WORD(image + 3));
	for (__u32 c = 0; c < FILTER_COLUMNS; c++) {
		__u32 at = image + FLAT_HEADER + FLAT_COLUMN * c, v;
		__u64 column = WORD(at);

		x->vector[c] = 0;
		if (!column)
			break;
		v = column_vector(image, column, at, &x->key);
		if (form == FORM_RANKED) {
			x->vector[c] = v;
			continue;
		}
		m &= WORD(v);
		if (!m)
			return NO_TERM;
		x->vector[c] = v + 1;
	}
	x->vector[FILTER_COLUMNS] = 0;
	if (form == FORM_ONE)
		return search_one(&s, x, m);
	if (form == FORM_RANKED)
		return SEARCH_RANKED;
	return search_words(&s, x, m, 0, 0, 0);
}

static __always_inline int hand_up(struct filter_packet *p, enum filter_up why)
{
	p->why = why;
	return FILTER_UP;
}

/* filter_begin makes the packet ready for the filter bound at a place of the map `filters`. */
static __always_inline int filter_begin(struct xdp_md *ctx, struct filter_packet *p, struct filter_scratch *x, __u32 bound)
{
	__u64 head = WORD(bound);
	__u32 need = head;

	if (head >> 32)
		return hand_up(p, head >> 32);
	/* What colours an earlier policer gives isn't known before filter_commit. */
	if (p->marked && need & (FIELD(DSCP) | FIELD(LOSS_PRIORITY) | FIELD(FORWARDING_CLASS)))
		return hand_up(p, UP_POLICER);
	p->node = bound + BOUND_HEADER;
	p->from = 0;
	if (p->parsed && !(need & ~p->parsed)) {
		key_update(&x->key, p);
		return 0;
	}
	return key_parse(ctx, &x->key, p, need) ? FILTER_UP : 0;
}

/* filter_step finds one term that the packet meets, the first one of the filter bound at a place of the
 * map `filters` where p->node is 0. FILTER_AGAIN says that p->node and p->from are where it goes on. */
__noinline int filter_step(struct xdp_md *ctx, struct filter_packet *p, __u32 bound)
{
	struct filter_scratch *x = filter_room();
	__u32 image, own, hits, t, terms, record;
	__u64 at, more, action, to;
	struct filter_hit *h;
	__u8 does;

	if (!p)
		return FILTER_UP;
	if (!x)
		return hand_up(p, UP_IMAGE);
	if (!p->node && filter_begin(ctx, p, x, bound))
		return FILTER_UP;
	at = WORD(p->node);
	more = WORD(p->node + 1);
	image = at;
	own = at >> 32;
	hits = p->hits;
	t = search(x, image, p->from);
	if (t == SEARCH_RANKED)
		t = filter_ranked(x, image, p->from);
	if (t == SEARCH_END)
		return hand_up(p, UP_STEPS);
	terms = WORD(image) >> 32;
	p->term = t == NO_TERM ? -1 : (__s32)(t + (__u32)more);
	if (t > terms)
		t = terms; /* the end of the filter */
	record = image + (__u32)(WORD(image + 1) >> 32) + FLAT_TERM * t;
	action = WORD(record);
	to = WORD(record + 1);
	if (WORD(record + 2) >> 32 & 0xff)
		return hand_up(p, WORD(record + 2) >> 32 & 0xff);
	if (hits >= 2 * FILTER_HITS)
		return hand_up(p, UP_STEPS);
	barrier_var(hits); /* the compiler would drop the mask, which the verifier wants */
	h = &x->hits[hits & (2 * FILTER_HITS - 1)];
	does = action >> 16;
	h->tally = to >> 32;
	h->own = own ? HALF(own * 2 + t) : 0;
	h->policer = 0;
	h->hook = p->hook;
	h->does = does;
	h->dscp = action >> 24;
	p->hits = hits + 1;
	if (does) {
		if (does & DOES_DSCP) {
			p->dscp = action >> 24;
			p->set_dscp = 1;
		}
		if (does & DOES_LOSS)
			p->loss = action >> 32;
		if (does & DOES_CLASS)
			p->class = action >> 40;
		if (does & DOES_MARK)
			p->mark = action >> 48;
		key_update(&x->key, p);
	}
	if (does & DOES_POLICE) {
		__u32 policer = HALF((__u32)WORD(p->node + 2) * 2 + (__u32)WORD(record + 3));
		__u8 kind = action;

		if (!policer)
			return hand_up(p, UP_POLICER);
		if (WORD(policer) >> 24 & 0xff) {
			if (kind == KIND_NEXT_TERM || kind == KIND_NEXT_FILTER)
				return hand_up(p, UP_POLICER);
			p->marked = 1;
		}
		h->policer = policer;
		h->loss = p->loss;
		p->policed = 1;
	}
	switch (action & 0xff) {
	case KIND_ACCEPT:
		return FILTER_PASS;
	case KIND_DISCARD:
		return FILTER_DROP;
	case KIND_INSTANCE:
		p->to = to;
		return FILTER_INSTANCE;
	case KIND_NEXT_HOP:
		p->to = to;
		return FILTER_NEXT_HOP;
	case KIND_NEXT_TERM:
		p->from = t + 1;
		return FILTER_AGAIN;
	case KIND_NEXT_FILTER:
		p->node = HALF((__u32)(more >> 32) * 2 + (__u32)to);
		p->from = 0;
		return FILTER_AGAIN;
	}
	return hand_up(p, UP_IMAGE);
}

/* filter_run judges a packet by the filter bound at a place of the map `filters`. */
static __always_inline int filter_run(struct xdp_md *ctx, struct filter_packet *p, __u32 bound)
{
	p->node = 0;
	for (int i = 0; i < FILTER_HITS; i++) {
		int verdict = filter_step(ctx, p, bound);

		if (verdict != FILTER_AGAIN)
			return verdict;
	}
	return hand_up(p, UP_STEPS);
}

static __always_inline void filter_count(__u64 *counts, __u32 row, __u32 slot, __u32 octets)
{
	__u32 at = (row + slot) * 2 & filter_count_mask;

	counts[at] += 1;
	counts[at | 1] += octets;
}

/* filter_tell counts a packet that nothing polices for all terms that it has met. */
static __always_inline void filter_tell(struct filter_packet *p)
{
	__u32 zero = 0, row = bpf_get_smp_processor_id() << (filter_count_shift & 31);
	__u64 *counts = bpf_map_lookup_elem(&filter_counts, &zero);
	struct filter_scratch *x = filter_room();

	if (!x || !counts)
		return;
	for (__u32 i = 0; i < 2 * FILTER_HITS; i++) {
		struct filter_hit *h = &x->hits[i];

		if (i >= p->hits)
			break;
		if (h->tally)
			filter_count(counts, row, h->tally, p->length);
		if (h->own)
			filter_count(counts, row, h->own, p->length);
	}
}

#include "policer.h"

/* What filter_commit says. */
enum filter_end { FILTER_DONE, FILTER_POLICED };

/* filter_commit counts a packet for all terms that it has met, and polices it. For a packet
 * that is dropped then, p->hook is the hook that did. The packet's dscp is the last one
 * that was set. */
__noinline int filter_commit(struct filter_packet *p)
{
	__u32 zero = 0, row = bpf_get_smp_processor_id() << (filter_count_shift & 31);
	__u64 *counts = bpf_map_lookup_elem(&filter_counts, &zero);
	struct filter_scratch *x = filter_room();

	if (!p || !x || !counts)
		return FILTER_DONE;
	for (__u32 i = 0; i < 2 * FILTER_HITS; i++) {
		struct filter_hit *h = &x->hits[i];

		if (i >= p->hits)
			break;
		if (h->tally)
			filter_count(counts, row, h->tally, p->length);
		if (h->own)
			filter_count(counts, row, h->own, p->length);
		if (!p->policed)
			continue;
		if (h->does & DOES_DSCP)
			p->dscp = h->dscp;
		if (h->policer) {
			__u64 done = filter_police(h->policer, p->length, h->loss);

			if ((__u32)(done >> 32))
				filter_count(counts, row, done >> 32, p->length);
			if (done & POLICER_DROP) {
				p->hook = h->hook;
				return FILTER_POLICED;
			}
			if (done & DOES_DSCP) {
				p->dscp = done >> 8;
				p->set_dscp = 1;
			}
			if (done & DOES_LOSS)
				p->loss = done >> 16;
			if (done & DOES_CLASS)
				p->class = done >> 24 & 0x7f;
		}
	}
	return FILTER_DONE;
}
