//go:build ignore

/* The filters of the fast path around nothing else, for tests and benchmarks: what stands
 * in `call` is judged for the packet that the program is run with. */
#include "../filter.h"

struct call {
	struct filter_packet packet;
	__u32 bound, bound_out; /* the second is for a second hook; 0 for none */
	__u32 verdict;
	__u32 commit;
	__u32 end; /* of the commit */
	__u8 ttl_out;
	__u8 pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call);
} call SEC(".maps");

SEC("xdp")
int judge(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct call *c = bpf_map_lookup_elem(&call, &zero);
	struct filter_packet p;
	int verdict;

	if (!c)
		return XDP_ABORTED;
	p = c->packet;
	verdict = filter_run(ctx, &p, c->bound);
	if (verdict == FILTER_PASS && c->bound_out) {
		p.ttl = c->ttl_out;
		verdict = filter_run(ctx, &p, c->bound_out);
	}
	c->end = verdict != FILTER_UP && c->commit ? filter_commit(&p) : 0;
	c->packet = p;
	c->verdict = verdict;
	return XDP_PASS;
}

/* Names for the test that compares them with Go's. */
enum filter_field the_field;
enum filter_up the_up;
enum filter_kind the_kind;
enum filter_does the_does;
enum filter_form the_form;
enum filter_layout the_layout;
enum filter_verdict the_verdict;
enum policer_kind the_policer;

char _license[] SEC("license") = "GPL";
