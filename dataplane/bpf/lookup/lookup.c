//go:build ignore

/* The route lookup of the fast path around nothing else, for tests and benchmarks:
 * each run looks the next address up. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../tables.h"

struct address {
	__u64 hi, lo;
	__u32 found;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct address);
} addresses SEC(".maps");

volatile const __u32 record; /* of the table */
volatile const __u32 family;
__u32 next;

SEC("xdp")
int lookup(struct xdp_md *ctx)
{
	__u32 key = next;
	struct address *a = bpf_map_lookup_elem(&addresses, &key);

	if (!a)
		return XDP_ABORTED;
	a->found = family ? fib_lookup6(record, a->hi, a->lo) : fib_lookup4(record, a->hi >> 32);
	/* No next hop is that large: the next run waits for this one's result. */
	next = key + 1 + (a->found >> 31);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
