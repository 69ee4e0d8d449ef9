/* What the user path's input stage checks of a packet (dataplane/input.go). Each
 * function says whether the packet is a plain one; all others are handed up, for
 * the user path knows what to do with them and how to count it.
 */
#pragma once

#include "flow.h"

volatile const __u32 completes; /* transport checksums may be left to us: dataplane/packet, CompleteChecksum */

/* adds_up says whether a sum of at most 30 words folds to all ones, as that of a
 * header with its checksum does; three steps leave nothing else that could be. */
static __always_inline int adds_up(__u64 sum)
{
	sum = (sum >> 32) + (__u32)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	return (sum >> 16) + (sum & 0xffff) == 0xffff;
}

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum >> 32) + (__u32)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (sum >> 16) + (sum & 0xffff);
}

/* same is 1 if d is 0, and else 0, without a branch: verifiers before Linux 6.8
 * follow each way of each round of a loop. */
static __always_inline __u64 same(__u64 d)
{
	__u64 negative = -d;

	asm volatile("" : "+r"(negative));
	return ((d | negative) >> 63) ^ 1;
}

/* among4 says whether an address is one of count at an offset. */
__noinline int among4(__u32 at, __u32 count, __u32 address)
{
	__u64 found = count > OWN_MOST;

	for (__u32 i = 0; i < OWN_MOST && i < count; i++)
		found |= same(table_word(at + i) ^ address);
	return found;
}

__noinline int among6(__u32 at, __u32 count, __u64 hi, __u64 lo)
{
	__u64 found = count > OWN_MOST;

	for (__u32 i = 0; i < OWN_MOST && i < count; i++)
		found |= same((table_word(at + 2 * i) ^ hi) | (table_word(at + 2 * i + 1) ^ lo));
	return found;
}

/* owns4 says whether a source is one of the unit's own addresses, or may be. */
static __always_inline int owns4(struct unit_family *f, __u32 address)
{
	return f->own_bits >> (address & 63) & 1 && among4(f->own, f->own_count, address);
}

static __always_inline int owns6(struct unit_family *f, __u64 hi, __u64 lo)
{
	return f->own_bits >> (lo & 63) & 1 && among6(f->own, f->own_count, hi, lo);
}

/* is_partial says whether the transport checksum of a packet may be the
 * pseudo-header's sum alone. addresses is the sum of the addresses, in whatever
 * byte order memory has; length is the transport's. */
static __always_inline int is_partial(__u8 *transport, __u8 *end, __u8 protocol, __u64 addresses, __u32 length)
{
	__u16 field;

	switch (protocol) {
	case 6:
		if (transport + 20 > end)
			return 0;
		field = *(__u16 *)(transport + 16);
		break;
	case 17:
		if (transport + 8 > end)
			return 0;
		field = *(__u16 *)(transport + 6);
		length = bpf_ntohs(*(__u16 *)(transport + 4));
		break;
	case 132:
		return transport + 12 <= end && !*(__u32 *)(transport + 8);
	default:
		return 0;
	}
	return field && field == fold(addresses + bpf_htons(protocol) + bpf_htons(length));
}

/* plain4 checks the IPv4 packet at l3 and returns its length, 0 for one to hand
 * up. */
static __always_inline __u32 plain4(__u8 *l3, __u8 *end, struct unit_family *f)
{
	if (l3 + 20 > end || l3[0] != 0x45)
		return 0;
	__u32 total = bpf_ntohs(*(__u16 *)(l3 + 2));
	__u64 first = *(__u32 *)l3, second = *(__u32 *)(l3 + 4), third = *(__u32 *)(l3 + 8);
	__u64 addresses = (__u64)*(__u32 *)(l3 + 12) + *(__u32 *)(l3 + 16);
	__u32 src = bpf_ntohl(*(__u32 *)(l3 + 12));

	if (total < 20 || total > end - l3)
		return 0;
	if (!adds_up(first + second + third + addresses))
		return 0;
	if (src >> 24 == 0 || src >> 24 == 127 || src >= 0xe0000000 || owns4(f, src))
		return 0;
	if (completes && !(second >> 16 & bpf_htons(0x3fff)) && is_partial(l3 + 20, end, l3[9], addresses, total - 20))
		return 0;
	return total;
}

/* plain6 likewise for IPv6. */
static __always_inline __u32 plain6(__u8 *l3, __u8 *end, struct unit_family *f)
{
	if (l3 + 40 > end || l3[0] >> 4 != 6 || l3[6] == 0)
		return 0;
	__u32 total = 40 + bpf_ntohs(*(__u16 *)(l3 + 4));
	__u64 hi = bpf_be64_to_cpu(*(__u64 *)(l3 + 8)), lo = bpf_be64_to_cpu(*(__u64 *)(l3 + 16));

	if (total > end - l3)
		return 0;
	if (hi >> 56 == 0xff || hi >> 54 == 0xfe80 >> 6 || owns6(f, hi, lo))
		return 0;
	if (hi == 0 && (lo <= 1 || lo >> 32 == 0xffff))
		return 0;
	if (completes) {
		__u64 addresses = 0;

		if (has_more(l3[6]))
			return 0;
		for (int i = 8; i < 40; i += 4)
			addresses += *(__u32 *)(l3 + i);
		if (is_partial(l3 + 40, end, l3[6], addresses, total - 40))
			return 0;
	}
	return total;
}
