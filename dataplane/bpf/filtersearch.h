/* Which term of a filter a packet matches first: each column of a program says by the packet's value which
 * terms that value lets pass, a bit for each, and what all columns let pass is the answer. */
#pragma once

#include "filterstore.h"

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
