/* Filters in the fast path: dataplane/filter's compiled programs in their flat form
 * (dataplane/filter/flat.go says how it is laid out), which Go writes to the map `filters`.
 *
 * filter_run judges a packet at a hook and changes nothing but what is in
 * struct filter_packet: not the packet, no count, no policer. When it is certain that the user
 * path won't see the packet, filter_commit counts and polices, or filter_tell counts where nothing
 * polices. So whatever the fast path can't do is handed up as if it had never been looked at.
 */
#pragma once

#include "filtersearch.h"
#include "policer.h"

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
