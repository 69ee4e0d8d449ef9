//go:build ignore

/* A generator and a sink of UDP packets to port 9 (discard), for measuring what
 * lies between them. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_HEADER 14
#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define UDP 17
#define DISCARD 9
#define MAGIC 0x726f7574

/* What the generator writes behind the UDP header. */
struct stamp {
	__be32 magic;
	__u32 number; /* of the packet, from 1 */
	__u64 sent;   /* nanoseconds, CLOCK_MONOTONIC */
} __attribute__((packed));

volatile const __u32 destinations; /* entries in use of the map; 0 leaves the frame's own */
volatile const __u32 in_turn;      /* one after the other; else at random */
volatile const __u32 at;           /* offset of the IP header in the generator's frame */
volatile const __u32 unstamped;    /* packets carry neither number nor time, which costs less */
volatile const __u32 vlans;        /* ids in use from the frame's own on, in turn; 0 leaves that */
volatile const __u32 sizes;        /* entries in use of size; 0 leaves the frame's length */
volatile const __u16 size[16];     /* lengths of frames, in turn */
volatile const __u32 longest;      /* length of the generator's frame */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[16]);
} addresses SEC(".maps");

/* The first octets of every packet: whatever forwards a packet changes it in
 * place, and the kernel gives us the same memory again. */
#define HEAD 56

volatile const __u64 head[HEAD / 8];

enum { SENT, RECEIVED, OCTETS, OTHERS, COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Packets by latency: eight buckets for each power of two nanoseconds. */
#define BUCKETS 512

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} latencies SEC(".maps");

/* When the first and the last packet was made, or came: CLOCK_MONOTONIC in
 * nanoseconds. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[2]);
} times SEC(".maps");

/* Every how many packets that carry no time the clock is read: it takes as long
 * as making a packet does. */
#define SELDOM 64

static __always_inline __u64 clock(void)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 only = 0;
	__u64 *time = bpf_map_lookup_elem(&times, &only);

	if (time) {
		if (!time[0])
			time[0] = now;
		time[1] = now;
	}
	return now;
}

static __always_inline __u64 add(void *map, __u32 key, __u64 n)
{
	__u64 *v = bpf_map_lookup_elem(map, &key);

	return v ? *v += n : 0;
}

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u32 number = add(&counters, SENT, 1);
	__u16 length = 0;

	if (sizes) {
		length = size[number % sizes & 15];
		if (length < longest && bpf_xdp_adjust_tail(ctx, (int)length - (int)longest))
			return XDP_ABORTED;
	}
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *word = (void *)data;
	__u8 *ip = data + at;

	if (data + HEAD > end || at > 64 || ip + 28 > end)
		return XDP_ABORTED;
	for (int i = 0; i < HEAD / 8; i++)
		word[i] = head[i];
	if (vlans) {
		__u16 *tag = (void *)(data + 14);

		*tag = bpf_htons(bpf_ntohs(*tag) + number % vlans);
	}
	int v4 = ip[0] >> 4 == 4;
	__u8 *to = 0;

	if (destinations) {
		__u32 key = (in_turn ? number : bpf_get_prandom_u32()) % destinations;

		to = bpf_map_lookup_elem(&addresses, &key);
		if (!to)
			return XDP_ABORTED;
	}
	if (v4) {
		__u16 *words = (void *)ip;

		if (length) {
			words[1] = bpf_htons(length - at);
			words[12] = bpf_htons(length - at - 20);
		}
		if (to)
			__builtin_memcpy(ip + 16, to, 4);
		if (to || length) {
			__u32 sum = 0;

			words[5] = 0;
			for (int i = 0; i < 10; i++)
				sum += words[i];
			words[5] = ~fold(sum);
		}
	} else {
		if (ip + 48 > end)
			return XDP_ABORTED;
		if (length) {
			__u16 n = bpf_htons(length - at - 40);

			*(__u16 *)(ip + 4) = n;
			*(__u16 *)(ip + 44) = n;
		}
		if (to)
			__builtin_memcpy(ip + 24, to, 16);
	}
	if (unstamped) {
		if (number % SELDOM == 0 || number == 1)
			clock();
		return XDP_TX;
	}
	struct stamp *stamp = (void *)(ip + (v4 ? 28 : 48));

	if ((__u8 *)(stamp + 1) <= end) {
		stamp->magic = bpf_htonl(MAGIC);
		stamp->number = number;
		stamp->sent = clock();
	} else {
		clock();
	}
	return XDP_TX;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *ip = data + ETH_HEADER, *udp;

	if (ip + 8 > end)
		goto other;
	__u16 type = *(__u16 *)(data + 12);

	if (type == bpf_htons(0x8100) || type == bpf_htons(0x88a8)) {
		type = *(__u16 *)(data + 16);
		ip += 4;
	}
	if (type == bpf_htons(TYPE_IPV4)) {
		if (ip + 28 > end || ip[0] != 0x45 || ip[9] != UDP)
			goto other;
		udp = ip + 20;
	} else if (type == bpf_htons(TYPE_IPV6)) {
		if (ip + 48 > end || ip[6] != UDP)
			goto other;
		udp = ip + 40;
	} else {
		goto other;
	}
	if (udp[2] != 0 || udp[3] != DISCARD)
		goto other;
	__u64 number = add(&counters, RECEIVED, 1);
	struct stamp *stamp = (void *)(udp + 8);

	add(&counters, OCTETS, end - data);
	if ((__u8 *)(stamp + 1) <= end && stamp->magic == bpf_htonl(MAGIC)) {
		__u64 took = clock() - stamp->sent;
		__u32 power = 0, bucket;

		for (int step = 32; step; step >>= 1)
			if (took >> power >> step)
				power += step;
		bucket = power < 3 ? took : power * 8 + ((took >> (power - 3)) & 7);
		add(&latencies, bucket, 1);
	} else if (number % SELDOM == 0) {
		clock();
	}
	return XDP_DROP;
other:
	add(&counters, OTHERS, 1);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
