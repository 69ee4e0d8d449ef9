/* Whether the kernel gets a packet to an address that it shares with the router:
 * the session demux of dataplane/session once more, for the one question.
 *
 * Sessions of one shape (the same fields, the same prefix lengths) stand in the
 * map `sessions` under the shape's number, masked; shapes are tried in order, the
 * most specific one first, and the first session found decides. Shapes and
 * sessions are replaced in the bank that is not in force, which the claim then
 * names.
 */
#pragma once

#define SHAPES 32 /* of a bank */

/* What a session can name of a packet, as octets in network byte order. */
struct flow {
	union {
		struct {
			__u8 zero, protocol;
			__u8 local_port[2]; /* of ICMP: 0 and the type */
			__u8 remote_port[2];
			__u8 flags;
			__u8 pad;
			__u8 local[16]; /* IPv4 in the last four */
			__u8 remote[16];
		};
		__u64 word[5];
	};
};

#define FLOW_NO_PORTS 1
#define FLOW_FRAGMENT 2
#define FLOW_INET6 4

struct shape {
	__u64 used;
	__u64 mask[5];
};

struct session_key {
	__u32 claim;
	__u32 shape;
	__u64 flow[5]; /* the words of a struct flow */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * SHAPES);
	__type(key, __u32);
	__type(value, struct shape);
} shapes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct session_key);
	__type(value, __u8); /* 1: the kernel's */
} sessions SEC(".maps");

/* flow_ports fills the ports behind an IP header; it returns -1 for a packet that
 * ends before them. */
static __always_inline int flow_ports(void *ctx, enum access how, __u32 at, struct flow *f)
{
	__u8 ports[4];

	switch (f->protocol) {
	case 6: case 17: case 33: case 132: case 136: /* TCP, UDP, DCCP, SCTP, UDP-Lite */
		if (load(ctx, how, at, ports, 4))
			return -1;
		f->remote_port[0] = ports[0];
		f->remote_port[1] = ports[1];
		f->local_port[0] = ports[2];
		f->local_port[1] = ports[3];
		return 0;
	case 1: case 58:
		return load(ctx, how, at, &f->local_port[1], 1) ? -1 : 0;
	}
	f->flags |= FLOW_NO_PORTS;
	return 0;
}

/* flow_of reads a packet; it returns -1 for one that is the router's to read. */
static __always_inline int flow_of(void *ctx, enum access how, struct l2 *l2, struct flow *f)
{
	__u32 at = l2->payload;

	if (l2->type == TYPE_IPV4) {
		__u8 h[20];

		if (load(ctx, how, at, h, sizeof(h)))
			return -1;
		f->protocol = h[9];
		__builtin_memcpy(f->remote + 12, h + 12, 4);
		__builtin_memcpy(f->local + 12, h + 16, 4);
		if (h[6] & 0x1f || h[7]) {
			f->flags = FLOW_NO_PORTS | FLOW_FRAGMENT;
			return 0;
		}
		return flow_ports(ctx, how, at + (h[0] & 15) * 4, f);
	}
	__u8 h[40];

	if (load(ctx, how, at, h, sizeof(h)))
		return -1;
	f->protocol = h[6];
	switch (f->protocol) {
	case 0: case 43: case 44: case 51: case 60: case 135: case 139: case 140:
		return -1; /* extension headers: the router gives such packets to the host */
	}
	__builtin_memcpy(f->remote, h + 8, 16);
	__builtin_memcpy(f->local, h + 24, 16);
	f->flags = FLOW_INET6;
	if (flow_ports(ctx, how, at + 40, f))
		return -1;
	/* Neighbour discovery is the router's own. */
	if (f->protocol == 58 && f->local_port[1] >= 133 && f->local_port[1] <= 137)
		return -1;
	return 0;
}

/* kernel_session says whether the session of a packet to a shared address leaves
 * it to the kernel. */
static __always_inline int kernel_session(void *ctx, enum access how, struct l2 *l2, struct claim *claim)
{
	struct flow flow = {};
	struct session_key key = { .claim = claim->number };
	__u32 bank = claim->bank;

	if (!bank || flow_of(ctx, how, l2, &flow))
		return 0;
	for (int i = 0; i < SHAPES; i++) {
		__u32 number = (bank - 1) * SHAPES + i;
		struct shape *shape = bpf_map_lookup_elem(&shapes, &number);

		if (!shape || !shape->used)
			return 0;
		key.shape = number;
		key.flow[0] = flow.word[0] & shape->mask[0];
		key.flow[1] = flow.word[1] & shape->mask[1];
		key.flow[2] = flow.word[2] & shape->mask[2];
		key.flow[3] = flow.word[3] & shape->mask[3];
		key.flow[4] = flow.word[4] & shape->mask[4];
		__u8 *kernel = bpf_map_lookup_elem(&sessions, &key);

		if (kernel)
			return *kernel;
	}
	return 0;
}
