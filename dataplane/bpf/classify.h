/* Which frames are the router's: one answer for the XDP program, for the tc
 * program behind AF_PACKET and for the filter on its sockets.
 *
 * A frame is claimed when its tag stack stands in the map `claims`. Of a
 * claimed stack, what is addressed to the kernel itself (an address of its own
 * in pass4 or pass6, under the claim's number) is left to the kernel. An address
 * that the router has too can be shared: then the sessions (sessions.h) decide.
 * Everything is in network byte order unless said otherwise.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_HEADER 14
#define ETH_TYPE 12
#define TAG 4

#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd

/* A tag stack, in host byte order; a tag that is absent is all zeros. */
struct stack {
	__u16 outer_tpid, outer_id;
	__u16 inner_tpid, inner_id;
};

struct claim {
	__u32 number;     /* of this claim, for pass4 and pass6; never 0 */
	__u32 has_passes; /* whether any address is passed to the kernel */
	__u32 bank;       /* which shapes are in force, 1 or 2; 0 for none */
};

/* What pass4 and pass6 say of an address. */
enum passed { PASSED_NOT, PASSED_ALL, PASSED_BY_SESSION };

struct key4 {
	__u32 claim;
	__u8 address[4];
};

struct key6 {
	__u32 claim;
	__u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct stack);
	__type(value, struct claim);
} claims SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct key4);
	__type(value, __u8);
} pass4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct key6);
	__type(value, __u8);
} pass6 SEC(".maps");

/* How the bytes of a frame are reached: constant in every use, so that the
 * compiler keeps one way only. */
enum access { IN_XDP, IN_SKB };

/* Linux before 5.18 has neither bpf_xdp_load_bytes nor frames of several buffers. */
volatile const __u32 plain_loads;

static __always_inline int load(void *ctx, enum access how, __u32 at, void *to, __u32 len)
{
	if (how == IN_SKB)
		return bpf_skb_load_bytes(ctx, at, to, len);
	if (plain_loads) {
		struct xdp_md *frame = ctx;
		__u64 offset = at;

		/* No header that is looked at begins farther in. */
		asm volatile("%0 &= 0xff" : "+r"(offset));
		__u8 *from = (__u8 *)(long)frame->data + offset;

		if (from + len > (__u8 *)(long)frame->data_end)
			return -1;
		__builtin_memcpy(to, from, len);
		return 0;
	}
	return bpf_xdp_load_bytes(ctx, at, to, len);
}

static __always_inline int is_tag(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

/* A frame's tags, the type behind them and where that type's payload starts. */
struct l2 {
	struct stack stack;
	__u16 type;
	__u32 payload;
};

/* push adds a tag to a stack, below those that are there. A priority tag (VLAN id
 * 0, IEEE 802.1Q, 6.9) says nothing of where a frame belongs. */
static __always_inline void push(struct stack *stack, __u16 tpid, __u16 tci)
{
	__u16 id = tci & 0xfff;

	if (!id)
		return;
	if (!stack->outer_tpid) {
		stack->outer_tpid = tpid;
		stack->outer_id = id;
	} else {
		stack->inner_tpid = tpid;
		stack->inner_id = id;
	}
}

/* parse fills l2 and returns 0, or -1 for a frame that ends before its type.
 * A tag that the device has stripped is given as tpid (0 for none) and tci. */
static __always_inline int parse(void *ctx, enum access how, __u16 tpid, __u16 tci, struct l2 *l2)
{
	__be16 word[2];

	if (load(ctx, how, ETH_TYPE, word, 2))
		return -1;
	l2->type = bpf_ntohs(word[0]);
	l2->payload = ETH_HEADER;
	if (tpid) {
		push(&l2->stack, tpid, tci);
	} else if (is_tag(l2->type)) {
		if (load(ctx, how, ETH_HEADER, word, 4))
			return -1;
		push(&l2->stack, l2->type, bpf_ntohs(word[0]));
		l2->type = bpf_ntohs(word[1]);
		l2->payload = ETH_HEADER + TAG;
	} else {
		return 0;
	}
	if (!is_tag(l2->type))
		return 0;
	if (load(ctx, how, l2->payload, word, 4))
		return -1;
	push(&l2->stack, l2->type, bpf_ntohs(word[0]));
	l2->type = bpf_ntohs(word[1]);
	l2->payload += TAG;
	return 0;
}

static __always_inline enum passed passed4(void *ctx, enum access how, __u32 number, __u32 at)
{
	struct key4 key = { .claim = number };

	if (load(ctx, how, at, key.address, sizeof(key.address)))
		return PASSED_NOT;
	__u8 *passed = bpf_map_lookup_elem(&pass4, &key);

	return passed ? *passed : PASSED_NOT;
}

static __always_inline enum passed passed6(void *ctx, enum access how, __u32 number, __u32 at)
{
	struct key6 key = { .claim = number };

	if (load(ctx, how, at, key.address, sizeof(key.address)))
		return PASSED_NOT;
	__u8 *passed = bpf_map_lookup_elem(&pass6, &key);

	return passed ? *passed : PASSED_NOT;
}

#include "sessions.h"

/* to_kernel says whether a frame of a claim is addressed to the kernel: IPv4 or
 * IPv6 to an address of its own (which covers ND answers), or a question by ARP
 * or ND for such an address, or an ARP answer to it. Of an address that is
 * shared, the sessions' part is the kernel's, and ARP and ND are the router's. */
static __always_inline int to_kernel(void *ctx, enum access how, struct l2 *l2, struct claim *claim)
{
	__u32 at = l2->payload, number = claim->number;
	enum passed passed;

	if (l2->type == TYPE_IPV4) {
		passed = passed4(ctx, how, number, at + 16);
		if (passed == PASSED_BY_SESSION)
			return kernel_session(ctx, how, l2, claim);
		return passed;
	}
	if (l2->type == TYPE_ARP) {
		/* Ethernet and IPv4: RFC 826. The target address is the last field. */
		__be16 kind[3];

		if (load(ctx, how, at, kind, sizeof(kind)) || kind[0] != bpf_htons(1) ||
		    kind[1] != bpf_htons(TYPE_IPV4) || kind[2] != bpf_htons(0x0604))
			return 0;
		return passed4(ctx, how, number, at + 24) == PASSED_ALL;
	}
	if (l2->type == TYPE_IPV6) {
		__u8 next, type;

		passed = passed6(ctx, how, number, at + 24);
		if (passed == PASSED_BY_SESSION)
			return kernel_session(ctx, how, l2, claim);
		if (passed)
			return 1;
		if (load(ctx, how, at + 6, &next, 1) || next != 58)
			return 0;
		/* Neighbour solicitation, RFC 4861, 4.3: the target follows 8 octets. */
		if (load(ctx, how, at + 40, &type, 1) || type != 135)
			return 0;
		return passed6(ctx, how, number, at + 48) == PASSED_ALL;
	}
	return 0;
}

/* ours says whether the router takes the frame in shared mode. */
static __always_inline int ours(void *ctx, enum access how, __u16 tpid, __u16 tci)
{
	struct l2 l2 = {};

	if (parse(ctx, how, tpid, tci, &l2))
		return 0;
	struct claim *claim = bpf_map_lookup_elem(&claims, &l2.stack);

	if (!claim)
		return 0;
	return !(claim->has_passes && to_kernel(ctx, how, &l2, claim));
}
