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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[16]);
} addresses SEC(".maps");

/* The first octets of every packet: whatever forwards a packet changes it in
 * place, and the kernel gives us the same memory again. */
#define HEAD 60

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32[HEAD / 4]);
} head SEC(".maps");

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

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 number = add(&counters, SENT, 1);
	struct stamp *stamp;
	__u8 *ip = data + at;
	__u32 only = 0, *from = bpf_map_lookup_elem(&head, &only), *word = (void *)data;

	if (!from || data + HEAD > end || at > 64 || ip + 40 > end)
		return XDP_ABORTED;
	for (int i = 0; i < HEAD / 4; i++)
		word[i] = from[i];
	int v4 = ip[0] >> 4 == 4;

	if (destinations) {
		__u32 key = (in_turn ? number : bpf_get_prandom_u32()) % destinations;
		__u8 *to = bpf_map_lookup_elem(&addresses, &key);

		if (!to)
			return XDP_ABORTED;
		if (v4) {
			__u16 *words = (void *)ip;
			__u32 sum = 0;

			__builtin_memcpy(ip + 16, to, 4);
			words[5] = 0;
			for (int i = 0; i < 10; i++)
				sum += words[i];
			sum = (sum & 0xffff) + (sum >> 16);
			sum = (sum & 0xffff) + (sum >> 16);
			words[5] = ~sum;
		} else {
			__builtin_memcpy(ip + 24, to, 16);
		}
	}
	stamp = (void *)(ip + (v4 ? 28 : 48));
	if ((__u8 *)(stamp + 1) <= end) {
		stamp->magic = bpf_htonl(MAGIC);
		stamp->number = number;
		stamp->sent = clock();
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
	__u64 now = clock();

	add(&counters, RECEIVED, 1);
	add(&counters, OCTETS, ctx->data_end - ctx->data);
	struct stamp *stamp = (void *)(udp + 8);

	if ((__u8 *)(stamp + 1) <= end && stamp->magic == bpf_htonl(MAGIC)) {
		__u64 took = now - stamp->sent;
		__u32 power = 0, bucket;

		for (int step = 32; step; step >>= 1)
			if (took >> power >> step)
				power += step;
		bucket = power < 3 ? took : power * 8 + ((took >> (power - 3)) & 7);
		add(&latencies, bucket, 1);
	}
	return XDP_DROP;
other:
	add(&counters, OTHERS, 1);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
