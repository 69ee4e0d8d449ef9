/* The tables that the router's two paths share, as package dataplane/layout
 * lays them out; a test holds the two together. An offset counts words of the
 * tables.
 */
#pragma once

#include <linux/types.h>

enum {
	ENTRY_NEXT_HOPS = 8, /* offset of the directory's word */
	ENTRY_INSTANCES = 9,
};

enum next_hop_kind {
	NEXT_HOP_UP,        /* the user path knows what to do */
	NEXT_HOP_FORWARD,   /* offset of a struct neighbor */
	NEXT_HOP_DISCARD,
	NEXT_HOP_LOOKUP,    /* offset of a table's record */
	NEXT_HOP_INDIRECT,  /* id of a next hop */
	NEXT_HOP_GROUP,     /* offset of the buckets */
};

enum egress_kind { EGRESS_NONE, EGRESS_ONE, EGRESS_MANY };

struct next_hop {
	__u8 kind;
	__u8 log;    /* of the number of a group's buckets */
	__u16 zero;
	__u32 value;
	__u32 egress;
	__u32 ifindex;
};

struct port {
	__u32 untagged; /* number of a struct unit */
	__u32 tagged;   /* record of a table */
};

enum {
	FAMILY_UP = 1,
	FAMILY_REDIRECTS = 2,
	FAMILY_ASK_IN = 4,
	FAMILY_RPF_STRICT = 8,
	FAMILY_RPF_LOOSE = 16,
};

#define OWN_MOST 32

struct unit_family {
	__u32 table;
	__u32 sources;
	__u64 own_bits;
	__u32 own;
	__u8 own_count;
	__u8 flags;
	__u16 zero;
	__u32 filter;
	__u32 group;
};

struct unit {
	__u8 station[6];
	__u16 zero;
	__u32 ifindex;
	__u32 tally;
	struct unit_family families[2];
	__u64 spare[6];
};

enum { NEIGHBOR_STALE = 1 };

struct neighbor {
	__u64 header[3];
	__u8 header_len;
	__u8 flags;
	__u16 mtu[2];
	__u16 zero;
	__u32 port;
	__u32 ifindex;
	__u32 tally;
	__u32 filter[2];
	__u32 device;
	__u64 reported; /* when a packet was handed up to report the use of a stale one */
};

/* What one processor has counted of a unit. */
struct tally {
	__u64 in_packets, in_octets;
	__u64 out_packets, out_octets;
	__u64 discarded;
	__u64 rpf[2];
	__u64 filtered, policed;
	__u64 out_filtered, out_policed;
	__u64 lost;
	__u64 spare[4];
};
