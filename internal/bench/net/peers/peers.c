//go:build ignore

/* What our fast path is measured beside: a program that does nothing but what
 * every forwarder must, and the smallest one that asks the kernel's tables. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_HEADER 14
#define VLAN_TAG 4
#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define TYPE_8021Q 0x8100
#define AF_INET 2
#define AF_INET6 10
#define LOOKUP_TBID 8 /* BPF_FIB_LOOKUP_TBID, Linux 6.7, which Debian's headers don't have */

volatile const __u32 out;       /* index of the device that frames leave by */
volatile const __u64 header[2]; /* its first 12 octets are the addresses that redirect writes */
volatile const __u32 tables;    /* the table of VLAN n is tables + n; 0: the rules choose */

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + ETH_HEADER > end)
		return XDP_PASS;
	*(__u64 *)data = header[0];
	*(__u32 *)(data + 8) = header[1];
	return bpf_redirect_map(&ports, out, XDP_PASS);
}

static __always_inline int forward(struct xdp_md *ctx, struct bpf_fib_lookup *fib, __u8 *data, __u32 flags)
{
	fib->ifindex = ctx->ingress_ifindex;
	if (bpf_fib_lookup(ctx, fib, sizeof(*fib), flags) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	__builtin_memcpy(data, fib->dmac, 6);
	__builtin_memcpy(data + 6, fib->smac, 6);
	return 1;
}

/* Frames with a tag keep it: it names an instance, whose table has devices of its
 * own at the same two ports. */
SEC("xdp")
int lookup(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *ip = data + ETH_HEADER;
	struct bpf_fib_lookup fib = {};
	__u32 flags = 0, port;

	if (ip + 20 > end)
		return XDP_PASS;
	__u16 type = *(__u16 *)(data + 12);

	if (type == bpf_htons(TYPE_8021Q)) {
		if (!tables)
			return XDP_PASS;
		/* The table's number stands where the VLAN comes back. */
		*(__u32 *)&fib.h_vlan_proto = tables + (bpf_ntohs(*(__u16 *)(data + 14)) & 0xfff);
		flags = BPF_FIB_LOOKUP_DIRECT | LOOKUP_TBID;
		type = *(__u16 *)(data + 16);
		ip += VLAN_TAG;
	}
	if (type == bpf_htons(TYPE_IPV4)) {
		__u16 *words = (void *)ip;
		__u32 sum;

		if (ip + 20 > end || ip[8] <= 1)
			return XDP_PASS;
		fib.family = AF_INET;
		fib.tos = ip[1];
		fib.l4_protocol = ip[9];
		fib.tot_len = bpf_ntohs(words[1]);
		__builtin_memcpy(&fib.ipv4_src, ip + 12, 4);
		__builtin_memcpy(&fib.ipv4_dst, ip + 16, 4);
		if (!forward(ctx, &fib, data, flags))
			return XDP_PASS;
		sum = words[5] + bpf_htons(0x0100); /* RFC 1624 */
		words[5] = sum + (sum >= 0xffff);
		ip[8]--;
	} else if (type == bpf_htons(TYPE_IPV6)) {
		if (ip + 40 > end || ip[7] <= 1)
			return XDP_PASS;
		fib.family = AF_INET6;
		fib.flowinfo = *(__be32 *)ip & bpf_htonl(0x0fffffff);
		fib.l4_protocol = ip[6];
		fib.tot_len = bpf_ntohs(*(__u16 *)(ip + 4)) + 40;
		__builtin_memcpy(fib.ipv6_src, ip + 8, 16);
		__builtin_memcpy(fib.ipv6_dst, ip + 24, 16);
		if (!forward(ctx, &fib, data, flags))
			return XDP_PASS;
		ip[7]--;
	} else {
		return XDP_PASS;
	}
	port = flags ? out : fib.ifindex;
	return bpf_redirect_map(&ports, port, XDP_PASS);
}

char _license[] SEC("license") = "GPL";
