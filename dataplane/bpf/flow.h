/* The number that packets of one flow share: worker.flow of package dataplane
 * once more, to the bit, so that a flow keeps its way whichever path its packets
 * take.
 */
#pragma once

#include "tables.h"

#define MIX_A 0x9e3779b97f4a7c15
#define MIX_B 0xe7037ed1a0b428db
#define MIX_C 0x8ebc6af09c88c6e3

volatile const __u64 flow_seed;

/* multiply returns both halves of a product, exclusive or. */
static __always_inline __u64 multiply(__u64 a, __u64 b)
{
	__u64 a0 = (__u32)a, a1 = a >> 32, b0 = (__u32)b, b1 = b >> 32;
	__u64 low = a0 * b0, mid1 = a0 * b1, mid2 = a1 * b0;
	__u64 carry = (low >> 32) + (__u32)mid1 + (__u32)mid2;

	return (a1 * b1 + (mid1 >> 32) + (mid2 >> 32) + (carry >> 32)) ^ (a * b);
}

static __always_inline __u64 mix(__u64 a, __u64 b)
{
	__u64 x = multiply(a ^ MIX_B, b ^ MIX_C);

	return multiply(x ^ MIX_A, a ^ (b << 32 | b >> 32) ^ MIX_B);
}

static __always_inline __u64 next_flow(__u64 flow)
{
	return mix(flow, MIX_C) | 1;
}

static __always_inline int has_ports(__u8 protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;
}

/* has_more says whether an IPv6 header is one that others follow. */
static __always_inline int has_more(__u8 next)
{
	return next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135 || next == 139 || next == 140;
}

/* flow4 is the number of the packet at l3, whose header of 20 octets lies before
 * end. */
static __always_inline __u64 flow4(__u8 *l3, __u8 *end)
{
	__u64 rest = (__u64)l3[9] << 32;
	__u32 total = bpf_ntohs(*(__u16 *)(l3 + 2));

	if (!(*(__u16 *)(l3 + 6) & bpf_htons(0x3fff)) && has_ports(l3[9]) && total >= 24 && l3 + 24 <= end)
		rest |= bpf_ntohl(*(__u32 *)(l3 + 20));
	return mix((*(__u32 *)(l3 + 12) | (__u64)*(__u32 *)(l3 + 16) << 32) ^ MIX_A, rest ^ flow_seed) | 1;
}

/* flow6 likewise, with a header of 40 octets; 0 where headers follow that are the
 * user path's to read. */
static __always_inline __u64 flow6(__u8 *l3, __u8 *end)
{
	__u64 rest = (__u64)(bpf_ntohl(*(__u32 *)l3) & 0xfffff) << 40;
	__u32 payload = bpf_ntohs(*(__u16 *)(l3 + 4));

	if (has_more(l3[6]))
		return 0;
	rest |= (__u64)l3[6] << 32;
	if (has_ports(l3[6]) && payload >= 4 && l3 + 44 <= end)
		rest |= bpf_ntohl(*(__u32 *)(l3 + 40));
	__u64 src = mix(*(__u64 *)(l3 + 8) ^ MIX_A, *(__u64 *)(l3 + 16) ^ flow_seed);
	__u64 dst = mix(*(__u64 *)(l3 + 24) ^ MIX_B, *(__u64 *)(l3 + 32) ^ src);

	return mix(dst ^ MIX_C, rest ^ flow_seed) | 1;
}
