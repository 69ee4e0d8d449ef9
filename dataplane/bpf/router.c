//go:build ignore

/* The router's programs at a device: `take` forwards what the fast path can
 * (fast.h) and brings all other frames to the AF_XDP sockets; `hide` and `claimed` do the same sorting for AF_PACKET. */
#include "classify.h"

/* Set before loading. */
volatile const __u32 shared;    /* the kernel uses the device too: take claimed frames only */
volatile const __u32 frags;     /* the program may be given frames of several buffers */
volatile const __u32 max_frame; /* octets; larger ones fit no buffer of ours */

#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2

/* What became of a frame. Go knows them by the same order. */
enum outcome { REDIRECTED, PASSED, NO_SOCKET, OVERSIZE, OUTCOMES };

/* Resized before loading, as is `counters`. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

#ifdef FILTERS
#include "filter.h"
#endif
#include "hooks.h"
#include "fast.h"

static __always_inline void count(__u32 queue, enum outcome outcome)
{
	__u32 key = queue * OUTCOMES + outcome;
	__u64 *n = bpf_map_lookup_elem(&counters, &key);

	if (n)
		*n += 1;
}

static __always_inline int deliver(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	__u64 len = frags ? bpf_xdp_get_buff_len(ctx) : ctx->data_end - ctx->data;

	if (len > max_frame) {
		count(queue, OVERSIZE);
		return XDP_DROP;
	}
	int act = bpf_redirect_map(&sockets, queue, XDP_DROP);

	count(queue, act == XDP_REDIRECT ? REDIRECTED : NO_SOCKET);
	return act;
}

SEC("xdp")
int take(struct xdp_md *ctx)
{
	if (shared && !ours(ctx, IN_XDP, 0, 0)) {
		count(ctx->rx_queue_index, PASSED);
		return XDP_PASS;
	}
	if (fast_port) {
		int act = fast_path(ctx, 0, 0);

		if (act != HAND_UP)
			return act;
	}
	return deliver(ctx);
}

extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto,
					__u16 *vlan_tci) __ksym __weak;

/* take_tagged is take for a device that strips the tag into metadata and
 * cannot be told not to, as a veth whose peer inserts tags "in hardware": it
 * puts the tag back. It is bound to its device. */
SEC("xdp")
int take_tagged(struct xdp_md *ctx)
{
	__be16 tpid = 0;
	__u16 tci = 0;

	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &tpid, &tci))
		tpid = 0;
	if (shared && !ours(ctx, IN_XDP, bpf_ntohs(tpid), tci)) {
		count(ctx->rx_queue_index, PASSED);
		return XDP_PASS;
	}
	if (fast_port) {
		int act = fast_path(ctx, tpid, tci);

		if (act != HAND_UP)
			return act;
	}
	if (tpid) {
		if (bpf_xdp_adjust_head(ctx, -TAG)) {
			count(ctx->rx_queue_index, NO_SOCKET);
			return XDP_DROP;
		}
		__u8 *frame = (void *)(long)ctx->data;

		if (frame + ETH_HEADER + TAG > (__u8 *)(long)ctx->data_end)
			return XDP_DROP;
		__u32 macs[3];
		__be16 tag[2] = { tpid, bpf_htons(tci) };

		__builtin_memcpy(macs, frame + TAG, sizeof(macs));
		__builtin_memcpy(frame, macs, sizeof(macs));
		__builtin_memcpy(frame + sizeof(macs), tag, sizeof(tag));
	}
	return deliver(ctx);
}

/* pass makes a veth run NAPI on this end and keeps its peer from handing over
 * frames that were never segmented. */
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* hide keeps from the kernel what AF_PACKET sockets, which see a frame before
 * this hook, have taken. */
SEC("tc")
int hide(struct __sk_buff *skb)
{
	if (shared && !ours(skb, IN_SKB, skb->vlan_present ? bpf_ntohs(skb->vlan_proto) : 0, skb->vlan_tci)) {
		count(0, PASSED);
		return TC_ACT_UNSPEC;
	}
	count(0, REDIRECTED);
	return TC_ACT_SHOT;
}

/* claimed filters what an AF_PACKET socket is given. */
SEC("socket")
int claimed(struct __sk_buff *skb)
{
	if (shared && !ours(skb, IN_SKB, skb->vlan_present ? bpf_ntohs(skb->vlan_proto) : 0, skb->vlan_tci))
		return 0;
	return -1;
}

char _license[] SEC("license") = "GPL";
