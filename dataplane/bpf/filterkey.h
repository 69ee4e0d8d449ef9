/* The fields of a packet that filters look at: the key of dataplane/filter once more. A
 * field that isn't there has no bit in `has`, whatever its value holds.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Why a packet is handed up: filter.Handup. */
enum filter_up {
	UP_NONE, UP_REJECT, UP_LOG, UP_MIRROR, UP_POLICER, UP_MAC, UP_OPTIONS, UP_STEPS, UP_SHORT, UP_IMAGE
};

/* In the order of Go's fields. Upper halves of IPv6 addresses are no fields. */
enum filter_field {
	FIELD_PROTOCOL, FIELD_SRC_PORT, FIELD_DST_PORT, FIELD_TCP_FLAGS, FIELD_ICMP, FIELD_FRAGMENT,
	FIELD_DSCP, FIELD_LENGTH, FIELD_TTL, FIELD_OPTIONS, FIELD_ETHER_TYPE, FIELD_VLAN,
	FIELD_INNER_VLAN, FIELD_MARK, FIELD_LOSS_PRIORITY, FIELD_FORWARDING_CLASS, FIELD_INTERFACE,
	FIELD_GROUP, FIELD_SRC_MAC, FIELD_DST_MAC, FIELD_SRC, FIELD_DST, FIELD_SRC_HI, FIELD_DST_HI,
	FIELD_VALUES
};

#define FIELD(f) (1U << FIELD_##f)

#define FIELDS_HEADER (FIELD(SRC) | FIELD(DST) | FIELD(DSCP) | FIELD(LENGTH) | FIELD(TTL))
#define FIELDS_META (FIELD(MARK) | FIELD(LOSS_PRIORITY) | FIELD(FORWARDING_CLASS))
#define FIELDS_TRANSPORT (FIELD(SRC_PORT) | FIELD(DST_PORT) | FIELD(TCP_FLAGS) | FIELD(ICMP))
#define FIELDS_FRAME (FIELD(ETHER_TYPE) | FIELD(VLAN) | FIELD(INNER_VLAN) | FIELD(SRC_MAC) | FIELD(DST_MAC))
/* What lies behind extension headers. */
#define FIELDS_UPPER (FIELDS_TRANSPORT | FIELD(PROTOCOL) | FIELD(FRAGMENT) | FIELD(OPTIONS))

enum filter_fragment { FRAGMENT_WHOLE, FRAGMENT_FIRST, FRAGMENT_LATER };
enum filter_options { OPTIONS_NONE, OPTIONS_FILL, OPTIONS_REAL };

struct filter_key {
	__u32 has;
	__u32 options; /* a bit for each extension header in the packet */
	__u64 value[FIELD_VALUES];
};

/* What is known of a packet on its way through the filters. The caller clears it, and
 * fills what stands before the line once it knows; ttl and dscp are those that the
 * packet will have at the hook. */
struct filter_packet {
	__u32 unit;    /* that received it */
	__u32 group;   /* the unit's interface group; 0 for none */
	__u16 l3;      /* where the IP header starts in the frame */
	__u16 length;  /* of the IP packet */
	__u8 inet6;
	__u8 ttl;
	__u8 dscp;
	__u8 hook;     /* 0 for input, 1 for output */
	__u8 stripped; /* the device has taken a tag out of the frame */
	/* ---- */
	__u8 set_dscp; /* a filter has set dscp: it is to be written to the packet */
	__u8 loss;
	__u8 class;
	__u8 why;      /* enum filter_up */
	__u8 policed;  /* a policer is to be asked */
	__u16 mark;
	__u16 hits;    /* terms met, for filter_commit */
	__u8 marked;   /* a policer may write to the packet */
	__u8 zero;
	__u32 parsed;  /* fields for which the key is filled; 0 while it isn't */
	__u32 to;      /* an instance or a next hop, by the verdict */
	__s32 term;    /* that decided, -1 for the end of the filter */
	__u32 node;    /* of the bound filter, where the next search begins; 0 at the start */
	__u32 from;    /* its first term */
};

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define MAX_L2 22 /* an Ethernet header with two tags */
#define MAX_EXTENSIONS 8

#define PROTO_HOP_BY_HOP 0
#define PROTO_FRAGMENT 44
#define PROTO_ESP 50
#define PROTO_AH 51

static __always_inline void key_set(struct filter_key *k, enum filter_field f, __u64 v)
{
	k->value[f] = v;
	k->has |= 1U << f;
}

/* extension_bit is the bit of an IPv6 extension header, 0 for other protocols. */
static __always_inline __u32 extension_bit(__u8 protocol)
{
	switch (protocol) {
	case 0: return 1 << 0;   /* hop-by-hop */
	case 43: return 1 << 1;  /* routing */
	case 44: return 1 << 2;  /* fragment */
	case 50: return 1 << 3;  /* ESP */
	case 51: return 1 << 4;  /* AH */
	case 60: return 1 << 5;  /* destination options */
	case 135: return 1 << 6; /* mobility */
	case 139: return 1 << 7; /* HIP */
	case 140: return 1 << 8; /* Shim6 */
	}
	return 0;
}

/* key_transport reads the start of a transport header at octet at of the packet, as far as there
 * is one. It returns -1 when what there is isn't in the frame's first buffer. */
static __always_inline int key_transport(struct filter_key *k, struct filter_packet *p, __u8 *l3, __u8 *end,
					 __u32 at, __u8 protocol, __u8 icmp)
{
	__u8 *h = l3 + at;

	switch (protocol) {
	case 6: /* TCP */
		if (p->length >= at + 14) {
			if (h + 14 > end)
				return -1;
			key_set(k, FIELD_TCP_FLAGS, h[13]);
		}
		break;
	case 17: case 33: case 132: case 136: /* UDP, DCCP, SCTP, UDP-Lite */
		break;
	default:
		if (protocol != icmp || p->length < at + 2)
			return 0;
		if (h + 2 > end)
			return -1;
		key_set(k, FIELD_ICMP, bpf_ntohs(*(__u16 *)h));
		return 0;
	}
	if (p->length < at + 4)
		return 0;
	if (h + 4 > end)
		return -1;
	k->value[FIELD_SRC_PORT] = bpf_ntohs(*(__u16 *)h);
	k->value[FIELD_DST_PORT] = bpf_ntohs(*(__u16 *)(h + 2));
	k->has |= FIELD(SRC_PORT) | FIELD(DST_PORT);
	return 0;
}

/* key4 reads an IPv4 packet; those with options are the user path's. */
static __always_inline int key4(struct filter_key *k, struct filter_packet *p, __u8 *l3, __u8 *end, __u32 need)
{
	__u16 fragment;

	if (l3 + IPV4_HEADER > end)
		return -1;
	if (l3[0] != 0x45) {
		p->why = UP_OPTIONS;
		return -1;
	}
	k->value[FIELD_SRC] = bpf_ntohl(*(__u32 *)(l3 + 12));
	k->value[FIELD_DST] = bpf_ntohl(*(__u32 *)(l3 + 16));
	k->value[FIELD_PROTOCOL] = l3[9];
	k->has |= FIELD(PROTOCOL) | FIELD(FRAGMENT) | FIELD(OPTIONS);
	k->value[FIELD_OPTIONS] = OPTIONS_NONE;
	fragment = bpf_ntohs(*(__u16 *)(l3 + 6)) & 0x3fff; /* without the reserved bit and DF */
	if (!fragment)
		k->value[FIELD_FRAGMENT] = FRAGMENT_WHOLE;
	else if (!(fragment & 0x1fff))
		k->value[FIELD_FRAGMENT] = FRAGMENT_FIRST;
	else {
		k->value[FIELD_FRAGMENT] = FRAGMENT_LATER;
		return 0;
	}
	if (need & FIELDS_TRANSPORT)
		return key_transport(k, p, l3, end, IPV4_HEADER, l3[9], 1);
	return 0;
}

/* key6_upper walks the extension headers (RFC 8200, 4) of an IPv6 packet. */
static __always_inline int key6_upper(struct filter_key *k, struct filter_packet *p, __u8 *l3, __u8 *end,
				      __u32 need)
{
	__u8 next = l3[6];
	__u32 at = IPV6_HEADER, i;

	k->value[FIELD_FRAGMENT] = FRAGMENT_WHOLE;
	k->value[FIELD_OPTIONS] = OPTIONS_NONE;
	k->has |= FIELD(FRAGMENT) | FIELD(OPTIONS);
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		__u32 bit = extension_bit(next);
		__u8 *h = l3 + at;
		__u32 n;

		if (!bit)
			break;
		k->options |= bit;
		k->value[FIELD_OPTIONS] = OPTIONS_REAL;
		if (next == PROTO_ESP)
			break;
		if (p->length < at + 8 || (next == PROTO_HOP_BY_HOP && at != IPV6_HEADER))
			return 0; /* a chain that can't be walked has no protocol */
		if (h + 8 > end)
			return -1;
		n = 8 + h[1] * 8;
		if (next == PROTO_AH)
			n = 8 + h[1] * 4; /* RFC 4302, 2.2 */
		if (next == PROTO_FRAGMENT) {
			__u16 field = bpf_ntohs(*(__u16 *)(h + 2));

			n = 8;
			if (field >> 3) {
				k->value[FIELD_FRAGMENT] = FRAGMENT_LATER;
				key_set(k, FIELD_PROTOCOL, h[0]);
				return 0;
			}
			if (field & 1)
				k->value[FIELD_FRAGMENT] = FRAGMENT_FIRST;
		}
		if (p->length < at + n)
			return 0;
		next = h[0];
		at += n;
	}
	if (i == MAX_EXTENSIONS) {
		__u32 bit = extension_bit(next);

		k->options |= bit;
		if (bit && next != PROTO_ESP)
			return 0;
	}
	key_set(k, FIELD_PROTOCOL, next);
	if (need & FIELDS_TRANSPORT)
		return key_transport(k, p, l3, end, at, next, 58);
	return 0;
}

static __always_inline int key6(struct filter_key *k, struct filter_packet *p, __u8 *l3, __u8 *end, __u32 need)
{
	if (l3 + IPV6_HEADER > end)
		return -1;
	k->value[FIELD_SRC_HI] = bpf_be64_to_cpu(*(__u64 *)(l3 + 8));
	k->value[FIELD_SRC] = bpf_be64_to_cpu(*(__u64 *)(l3 + 16));
	k->value[FIELD_DST_HI] = bpf_be64_to_cpu(*(__u64 *)(l3 + 24));
	k->value[FIELD_DST] = bpf_be64_to_cpu(*(__u64 *)(l3 + 32));
	if (need & FIELDS_UPPER)
		return key6_upper(k, p, l3, end, need);
	return 0;
}

static __always_inline __u64 key_mac(__u8 *h)
{
	return (__u64)bpf_ntohs(*(__u16 *)h) << 32 | bpf_ntohl(*(__u32 *)(h + 2));
}

static __always_inline int is_tpid(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

/* key_frame reads the Ethernet header and its tags, which end where the packet starts. */
static __always_inline int key_frame(struct filter_key *k, struct filter_packet *p, __u8 *frame, __u8 *end)
{
	__u16 type;
	__u32 vlans = 0;

	if (frame + 14 > end)
		return -1;
	key_set(k, FIELD_DST_MAC, key_mac(frame));
	key_set(k, FIELD_SRC_MAC, key_mac(frame + 6));
	type = bpf_ntohs(*(__u16 *)(frame + 12));
	for (__u32 at = 14; at <= 18 && is_tpid(type); at += 4) {
		__u16 id;

		if (frame + at + 4 > end)
			return -1;
		id = bpf_ntohs(*(__u16 *)(frame + at)) & 0xfff;
		type = bpf_ntohs(*(__u16 *)(frame + at + 2));
		if (!id)
			continue; /* a priority tag */
		key_set(k, vlans++ ? FIELD_INNER_VLAN : FIELD_VLAN, id);
	}
	key_set(k, FIELD_ETHER_TYPE, type);
	return 0;
}

/* key_update sets what filters change, and what changes between the hooks. */
static __always_inline void key_update(struct filter_key *k, struct filter_packet *p)
{
	k->value[FIELD_MARK] = p->mark;
	k->value[FIELD_LOSS_PRIORITY] = p->loss;
	k->value[FIELD_FORWARDING_CLASS] = p->class;
	k->value[FIELD_DSCP] = p->dscp;
	k->value[FIELD_TTL] = p->ttl;
}

/* key_parse fills the key for the fields in need; it returns -1 for a packet to hand up, and
 * why. */
static __always_inline int key_parse(struct xdp_md *ctx, struct filter_key *k, struct filter_packet *p, __u32 need)
{
	__u8 *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *l3 = frame + (p->l3 & 31);

	k->options = 0;
	k->has = FIELDS_HEADER | FIELDS_META;
	key_update(k, p);
	k->value[FIELD_LENGTH] = p->length;
	k->value[FIELD_INTERFACE] = p->unit;
	k->value[FIELD_GROUP] = p->group;
	if (p->unit) {
		k->has |= FIELD(INTERFACE);
		if (p->group)
			k->has |= FIELD(GROUP);
	}
	p->why = UP_SHORT;
	if (p->inet6 ? key6(k, p, l3, end, need) : key4(k, p, l3, end, need))
		return -1;
	if (need & FIELDS_FRAME && (p->stripped || key_frame(k, p, frame, end)))
		return -1;
	p->parsed = need | 1U << 31;
	return 0;
}
