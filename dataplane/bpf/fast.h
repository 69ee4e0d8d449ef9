/* The fast path: what the pipeline of package dataplane does with a plain packet,
 * stage by stage, on the same tables. A packet that needs more (a neighbour to
 * resolve, an ICMP error, a fragment, options, the host) is handed up as it came,
 * uncounted, and the user path does all of it: this has no semantics of its own.
 *
 *   demux     port and tags -> unit            (input.go, classify)
 *   plain     is it well-formed and ordinary?  (checks.h)
 *   judge     what do filters say?             (hooks.h; filtering.go)
 *   source    does its source lead back?       (rpf.go)
 *   lookup    destination -> next hop          (vrf/fib, act.go)
 *   send      TTL, MTU, L2 header, redirect    (act.go, forward; output.go)
 */
#pragma once

#include "checks.h"

volatile const __u32 fast_port; /* offset of the port's record; 0: no fast path */
/* The program may not use tx_ports: one that is bound to its device, on kernels
 * before 6.16. */
volatile const __u32 no_ports;

/* Resized before loading. A kernel allows programs for frames of one buffer, or
 * those for frames of several, to use such a map: there is one for each. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tx_ports SEC(".maps");

static __always_inline int tag_kind(__u16 tpid)
{
	switch (tpid) {
	case bpf_htons(0x8100): return 0;
	case bpf_htons(0x88a8): return 1;
	case bpf_htons(0x9100): return 2;
	case bpf_htons(0x9200): return 3;
	case bpf_htons(0x9300): return 4;
	}
	return -1;
}

/* tag_key is a tag as 15 bits; 0 for one that is the user path's to read: a
 * priority tag, a reserved one, or no tag at all. */
static __always_inline __u32 tag_key(__u16 tpid, __u16 tci)
{
	int kind = tag_kind(tpid);
	__u32 id = tci & 0xfff;

	if (kind < 0 || id == 0 || id == 0xfff)
		return 0;
	return kind << 12 | id;
}

/* demux finds the unit of a frame, 0 where there is none. A tag that the device
 * has stripped is given as tpid, in network byte order, and tci. */
static __always_inline struct unit *demux(__u8 *data, __u8 *end, __u16 tpid, __u16 tci, struct frame *f)
{
	__u64 word = table_word(fast_port);
	__u32 number = word, tagged = word >> 32;

	f->type = *(__u16 *)(data + ETH_TYPE);
	f->l3 = ETH_HEADER;
	f->tpid = tpid;
	if (tpid || (f->type != bpf_htons(TYPE_IPV4) && f->type != bpf_htons(TYPE_IPV6))) {
		__u32 outer, inner;

		if (!tagged)
			return 0;
		if (!tpid) {
			outer = tag_key(f->type, bpf_ntohs(*(__u16 *)(data + 14)));
			f->type = *(__u16 *)(data + 16);
			f->l3 += TAG;
		} else {
			outer = tag_key(tpid, tci);
		}
		if (!outer)
			return 0;
		if (f->type == bpf_htons(TYPE_IPV4) || f->type == bpf_htons(TYPE_IPV6)) {
			number = fib_lookup4(tagged, outer << 17 | 1);
		} else {
			__u8 *tag = data + f->l3;

			if (tag + TAG > end)
				return 0;
			inner = tag_key(f->type, bpf_ntohs(*(__u16 *)tag));
			if (!inner)
				return 0;
			f->type = *(__u16 *)(tag + 2);
			f->l3 += TAG;
			number = fib_lookup4(tagged, outer << 17 | inner << 2 | 2);
		}
	}
	if (!number)
		return 0;
	return unit_number(number);
}

/* Where a packet goes. */
enum { WAY_UP, WAY_DISCARD, WAYS };

#define NEXT_HOP_STEPS 8

/* next_hop_word reads one of the two words of a next hop. */
static __always_inline int next_hop_word(__u32 id, int second, __u64 *word)
{
	__u64 all = table_word(ENTRY_NEXT_HOPS);

	if (id >= (__u32)all)
		return -1;
	*word = table_word((all >> 32) + 2 * (__u64)id + second);
	return 0;
}

/* An address, left-aligned. */
struct address {
	__u64 hi, lo;
};

/* address_at reads the one at an octet of the packet. */
static __always_inline struct address address_at(__u8 *at, const int v6)
{
	struct address a = {};

	if (v6) {
		a.hi = bpf_be64_to_cpu(*(__u64 *)at);
		a.lo = bpf_be64_to_cpu(*(__u64 *)(at + 8));
	} else {
		a.hi = (__u64)bpf_ntohl(*(__u32 *)at) << 32;
	}
	return a;
}

/* look_up finds the next hop of an address. It is a call: in place it saves 1.5 ns a packet, and the verifier
 * looks at three times as many instructions. */
static __always_inline __u32 look_up(__u32 record, struct address *a, const int v6)
{
	return v6 ? fib_lookup6(record, a->hi, a->lo) : fib_lookup4(record, a->hi >> 32);
}

/* follow goes on from a next hop that is not a neighbour: through other tables,
 * groups, gateways. It returns the offset of a neighbour, WAY_UP or WAY_DISCARD. */
__noinline __u32 follow(struct xdp_md *ctx, __u32 l3, __u32 v6, __u32 id)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *h = data + (l3 & 31);
	__u64 flow = 0, word;

	if (h + (v6 ? 40 : 20) > end)
		return WAY_UP;
	for (int i = 0; i < NEXT_HOP_STEPS; i++) {
		if (next_hop_word(id, 0, &word))
			return WAY_UP;
		__u32 value = word >> 32;

		switch (word & 0xff) {
		case NEXT_HOP_FORWARD:
			return value;
		case NEXT_HOP_DISCARD:
			return WAY_DISCARD;
		case NEXT_HOP_LOOKUP:
			if (v6) {
				if (h + 40 > end)
					return WAY_UP;
				struct address to = address_at(h + 24, 1);

				id = look_up(value, &to, 1);
			} else {
				struct address to = address_at(h + 16, 0);

				id = look_up(value, &to, 0);
			}
			break;
		case NEXT_HOP_INDIRECT:
			id = value;
			break;
		case NEXT_HOP_GROUP: {
			__u32 log = word >> 8 & 0xff;

			if (log) {
				if (flow) {
					flow = next_flow(flow);
				} else if (v6) {
					if (h + 40 > end)
						return WAY_UP;
					flow = flow6(h, end);
				} else {
					flow = flow4(h, end);
				}
				if (!flow)
					return WAY_UP;
			}
			id = table_half(2 * (__u64)value + (flow >> 32 & ((1u << (log & 31)) - 1)));
			break;
		}
		default:
			return WAY_UP;
		}
	}
	return WAY_UP;
}

/* way finds the neighbour that a next hop leads to: its offset, WAY_UP or WAY_DISCARD. One gateway on
 * the way to it costs no call. */
static __always_inline __u32 way(struct xdp_md *ctx, struct frame *f, const int v6, __u32 id)
{
	__u64 word;

	if (next_hop_word(id, 0, &word))
		return WAY_UP;
	if ((word & 0xff) == NEXT_HOP_INDIRECT) {
		id = word >> 32;
		if (next_hop_word(id, 0, &word))
			return WAY_UP;
	}
	if ((word & 0xff) == NEXT_HOP_FORWARD)
		return word >> 32;
	return follow(ctx, f->l3, v6, id);
}

/* source checks a packet's source by the next hop that leads back to it (RFC 3704):
 * 0 if it passes, XDP_DROP if it fails, HAND_UP where that takes more. */
static __always_inline int source(struct unit *unit, struct unit_family *f, __u32 id)
{
	__u64 word;

	if (next_hop_word(id, 1, &word))
		return HAND_UP;
	switch ((__u32)word) {
	case EGRESS_NONE:
		return XDP_DROP;
	case EGRESS_ONE:
		return f->flags & FAMILY_RPF_LOOSE || word >> 32 == unit->ifindex ? 0 : XDP_DROP;
	}
	return HAND_UP;
}

/* header puts a neighbour's L2 header of a constant length before the packet,
 * lowers its TTL, writes its code point and returns 0. */
static __always_inline int header(__u8 *data, __u8 *end, struct neighbor *n, struct frame *f, judged *p, int v6,
				  const int length)
{
	__u8 *h = data + length;

	if (h + 20 > end)
		return -1;
	*(__u64 *)data = n->header[0];
	if (length == 14) {
		*(__u32 *)(data + 8) = n->header[1];
	} else {
		*(__u64 *)(data + 8) = n->header[1];
		if (length == 22)
			*(__u32 *)(data + 16) = n->header[2];
	}
	*(__u16 *)(data + length - 2) = f->type;
	mark_dscp(p, h, v6);
	if (v6) {
		h[7]--;
		return 0;
	}
	/* RFC 1624, eqn. 3, as packet.DecrementTTL does it. */
	__u32 sum = (__u16)~bpf_ntohs(*(__u16 *)(h + 10)) + 0xfeff;

	h[8]--;
	*(__u16 *)(h + 10) = ~bpf_htons((sum >> 16) + sum);
	return 0;
}

/* resize gives the frame the length that the packet has on the wire: without the
 * padding that it came with, and with zeroes up to the least of Ethernet. */
static __always_inline int resize(struct xdp_md *ctx, __u32 want, __u32 packet)
{
	__u32 have = ctx->data_end - ctx->data;

	if (have > packet) {
		/* Foreign padding goes, and comes back as zeroes. */
		if (bpf_xdp_adjust_tail(ctx, (int)(packet - have)))
			return -1;
		have = packet;
	}
	return want > have ? bpf_xdp_adjust_tail(ctx, (int)(want - have)) : 0;
}

/* count_drop counts a packet where offset says and returns what ends its way. */
static __always_inline int count_drop(struct unit *unit, struct frame *f, __u64 offset)
{
	struct tally *t = tally_at(tally_base(), unit->tally);

	t->in_packets++;
	t->in_octets += f->octets;
	*(__u64 *)((char *)t + offset) += 1;
	return XDP_DROP;
}

/* drop ends a packet's way, for which offset counts unless a policer was first. */
static __always_inline int drop(struct unit *unit, struct frame *f, judged *p, __u64 offset)
{
	__u64 policed = settle(p);

	return count_drop(unit, f, policed ? policed : offset);
}

#define REPORT_EVERY 100000000 /* nanoseconds */

/* report says whether the packet should report that a stale neighbour is in use,
 * as one now and then does until the neighbour table has heard of it. With nobody
 * to tell, none does. Two processors that say so at once do no harm. */
static __always_inline int report(struct xdp_md *ctx, struct neighbor *n)
{
	__u32 queue = ctx->rx_queue_index;
	__u64 now = bpf_ktime_get_ns();

	if (now - n->reported < REPORT_EVERY || !bpf_map_lookup_elem(&sockets, &queue))
		return 0;
	n->reported = now;
	return 1;
}

/* send gives a packet to a neighbour. */
static __always_inline int send(struct xdp_md *ctx, struct unit *unit, struct unit_family *family, struct frame *f, judged *p,
				__u8 ttl, int v6, __u32 at)
{
	struct neighbor *n = neighbor_at(at);
	__u32 length = n->header_len;

	if (!n->port || f->total > n->mtu[v6] || ttl <= 1)
		return HAND_UP;
	if (family->flags & FAMILY_REDIRECTS && n->ifindex == unit->ifindex)
		return HAND_UP;
	if (n->flags & NEIGHBOR_STALE && report(ctx, n))
		return HAND_UP;
	switch (judge_out(ctx, p, n, v6)) {
	case JUDGE_UP:
		return HAND_UP;
	case JUDGE_DROP:
		return drop(unit, f, p, __builtin_offsetof(struct tally, out_filtered));
	}
	if (f->l3 != length && bpf_xdp_adjust_head(ctx, (int)f->l3 - (int)length))
		return HAND_UP;
	__u32 packet = length + f->total, octets = packet < 60 ? 60 : packet;

	if ((ctx->data_end - ctx->data != octets || packet != octets) && resize(ctx, octets, packet)) {
		if (f->l3 != length && bpf_xdp_adjust_head(ctx, (int)length - (int)f->l3))
			return XDP_ABORTED;
		return HAND_UP;
	}
	__u64 policed = settle_sent(p);

	if (policed)
		return count_drop(unit, f, policed);
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int bad = -1;

	if (length == 14)
		bad = header(data, end, n, f, p, v6, 14);
	else if (length == 18)
		bad = header(data, end, n, f, p, v6, 18);
	else if (length == 22)
		bad = header(data, end, n, f, p, v6, 22);
	if (bad)
		return XDP_ABORTED;
	__u64 base = tally_base();
	struct tally *in = tally_at(base, unit->tally);

	in->in_packets++;
	in->in_octets += f->octets;
	int act = no_ports ? bpf_redirect(n->device, 0) : bpf_redirect_map(&tx_ports, n->port, 0);

	if (act != XDP_REDIRECT) {
		in->lost++;
		return XDP_DROP;
	}
	struct tally *out = tally_at(base, n->tally);

	out->out_packets++;
	out->out_octets += octets;
	return XDP_REDIRECT;
}

/* forward takes a packet of a family, whose header begins at l3, from its checks to its way out. */
static __always_inline int forward(struct xdp_md *ctx, struct unit *unit, __u8 *l3, __u8 *end, struct frame *f, const int v6)
{
	struct unit_family *family = &unit->families[v6];
	__u32 table = family->table, id, at;
	judged p;

	if ((family->flags & (FAMILY_UP | FAMILY_ASK_IN)) != FAMILY_UP)
		return HAND_UP;
	f->total = v6 ? plain6(l3, end, family) : plain4(l3, end, family);
	if (!f->total || l3 + (v6 ? 40 : 20) > end)
		return HAND_UP;
	struct address from = address_at(l3 + (v6 ? 8 : 12), v6), to = address_at(l3 + (v6 ? 24 : 16), v6);
	__u8 ttl = v6 ? l3[7] : l3[8];

	judge_begin(&p, unit, family, f, l3, v6);
	int judgement = judge_in(ctx, &p, family);

	switch (judgement) {
	case JUDGE_UP:
		return HAND_UP;
	case JUDGE_DROP:
		return drop(unit, f, &p, __builtin_offsetof(struct tally, filtered));
	case JUDGE_INSTANCE:
		table = steered(&p);
		if (!table)
			return HAND_UP;
	}
	if (family->flags & (FAMILY_RPF_LOOSE | FAMILY_RPF_STRICT)) {
		int verdict = source(unit, family, look_up(family->sources, &from, v6));

		if (verdict == XDP_DROP)
			return drop(unit, f, &p, __builtin_offsetof(struct tally, rpf) + v6 * sizeof(__u64));
		if (verdict)
			return HAND_UP;
	}
	if (judgement == JUDGE_NEXT_HOP)
		id = p.to;
	else
		id = look_up(table, &to, v6);
	at = way(ctx, f, v6, id);
	if (at == WAY_DISCARD)
		return drop(unit, f, &p, __builtin_offsetof(struct tally, discarded));
	if (at < WAYS)
		return HAND_UP;
	return send(ctx, unit, family, f, &p, ttl, v6, at);
}

#define STATION 0xffffffffffff

/* No driver gives a frame of several buffers a first one of fewer octets. */
#define FIRST_BUFFER 256

/* fast_path does with a frame what the user path would, or returns HAND_UP. */
static __always_inline int fast_path(struct xdp_md *ctx, __u16 tpid, __u16 tci)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct frame f = { .octets = end - data };

	if (data + ETH_HEADER + 20 > end || f.octets > max_frame)
		return HAND_UP;
	if (frags && f.octets >= FIRST_BUFFER && bpf_xdp_get_buff_len(ctx) != f.octets)
		return HAND_UP;
	if (tpid)
		f.octets += TAG;
	struct unit *unit = demux(data, end, tpid, tci, &f);

	if (!unit || (*(__u64 *)data & STATION) != (*(__u64 *)unit & STATION))
		return HAND_UP;
	__u8 *l3 = data + f.l3;

	if (f.type == bpf_htons(TYPE_IPV4))
		return forward(ctx, unit, l3, end, &f, 0);
	if (f.type == bpf_htons(TYPE_IPV6))
		return forward(ctx, unit, l3, end, &f, 1);
	return HAND_UP;
}
