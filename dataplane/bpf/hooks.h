/* Where the fast path asks filters (dataplane/filtering.go). Without FILTERS nothing is asked, and
 * nothing of this is left in the program.
 *
 * A filter's counts and policers are for what is certain: judge_in and judge_out only say what would
 * become of the packet, and settle, once the user path can't see it any more, counts and
 * polices.
 */
#pragma once

#include "tables.h"

#define HAND_UP (-1)

/* A frame: what the stages tell each other. */
struct frame {
	__u32 l3;     /* offset of the network-layer header */
	__u32 octets; /* on the wire, stripped tags included */
	__u32 total;  /* octets of the packet, padding not */
	__u16 type;   /* in network byte order */
	__u16 tpid;   /* of a tag that the device has stripped; 0 for none */
};

enum { JUDGE_PASS, JUDGE_DROP, JUDGE_UP, JUDGE_INSTANCE, JUDGE_NEXT_HOP };

#ifdef FILTERS

typedef struct filter_packet judged;

/* judge_begin notes what filters may look at. */
static __always_inline void judge_begin(judged *p, struct unit *unit, struct unit_family *family, struct frame *f,
					__u8 *l3, int v6)
{
	*p = (judged){
		.unit = unit->ifindex, .group = family->group, .l3 = f->l3, .length = f->total, .inet6 = v6,
		.stripped = f->tpid != 0,
		.ttl = v6 ? l3[7] : l3[8],
		.dscp = v6 ? (l3[0] & 15) << 2 | l3[1] >> 6 : l3[1] >> 2,
	};
}

static __always_inline int judge_in(struct xdp_md *ctx, judged *p, struct unit_family *family)
{
	if (!family->filter)
		return JUDGE_PASS;
	switch (filter_run(ctx, p, family->filter)) {
	case FILTER_PASS:
		return JUDGE_PASS;
	case FILTER_DROP:
		return JUDGE_DROP;
	case FILTER_INSTANCE:
		return JUDGE_INSTANCE;
	case FILTER_NEXT_HOP:
		return JUDGE_NEXT_HOP;
	}
	return JUDGE_UP;
}

/* judge_out asks the egress family's filter, which sees the packet as it will be sent. Where it
 * goes is decided already. */
static __always_inline int judge_out(struct xdp_md *ctx, judged *p, struct neighbor *n, int v6)
{
	if (!n->filter[v6])
		return JUDGE_PASS;
	p->ttl--;
	p->hook = 1;
	switch (filter_run(ctx, p, n->filter[v6])) {
	case FILTER_UP:
		return JUDGE_UP;
	case FILTER_DROP:
		return JUDGE_DROP;
	}
	return JUDGE_PASS;
}

/* steered is the table that a filter has chosen, 0 for one that only the user path knows. */
static __always_inline __u32 steered(judged *p)
{
	__u64 all = table_word(ENTRY_INSTANCES);

	return p->to < (__u32)all ? table_word((all >> 32) + p->to) : 0;
}

/* settle counts and polices a packet. It returns 0 or, for one that a policer drops, the place in
 * the tally that counts it. */
static __always_inline __u64 settle(judged *p)
{
	if (!p->hits || filter_commit(p) != FILTER_POLICED)
		return 0;
	return p->hook ? __builtin_offsetof(struct tally, out_policed) : __builtin_offsetof(struct tally, policed);
}

/* settle_sent is settle for a packet that leaves, without a call where nothing polices it. */
static __always_inline __u64 settle_sent(judged *p)
{
	if (p->policed)
		return settle(p);
	if (p->hits)
		filter_tell(p);
	return 0;
}

/* mark_dscp writes the code point to a packet that leaves, if a filter says one: packet.SetDSCP4 and
 * SetDSCP6. */
static __always_inline void mark_dscp(judged *p, __u8 *h, int v6)
{
	if (!p->set_dscp)
		return;
	if (v6) {
		h[0] = 0x60 | p->dscp >> 2;
		h[1] = p->dscp << 6 | (h[1] & 0x3f);
		return;
	}
	__u8 was = h[1], is = p->dscp << 2 | (h[1] & 3);
	__u32 sum = (__u16)~bpf_ntohs(*(__u16 *)(h + 10)) + (__u16)~(__u16)(0x4500 | was) + (0x4500 | is);

	sum = (sum >> 16) + (sum & 0xffff);
	h[1] = is;
	*(__u16 *)(h + 10) = ~bpf_htons((sum >> 16) + sum);
}

#else

typedef struct {
	__u32 to;
} judged;

static __always_inline void judge_begin(judged *p, struct unit *unit, struct unit_family *family, struct frame *f,
					__u8 *l3, int v6) { p->to = 0; }
static __always_inline int judge_in(struct xdp_md *ctx, judged *p, struct unit_family *family) { return JUDGE_PASS; }
static __always_inline int judge_out(struct xdp_md *ctx, judged *p, struct neighbor *n, int v6) { return JUDGE_PASS; }
static __always_inline __u32 steered(judged *p) { return 0; }
static __always_inline __u64 settle(judged *p) { return 0; }
static __always_inline __u64 settle_sent(judged *p) { return 0; }
static __always_inline void mark_dscp(judged *p, __u8 *h, int v6) {}

#endif
