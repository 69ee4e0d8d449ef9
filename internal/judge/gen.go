// Package judge is the filters of the fast path in an XDP program of their own, to be
// tested and measured by running it with packets of the caller's.
package judge

//go:generate go tool bpf2go -go-package judge -type filter_packet -target bpfel -cc clang -strip llvm-strip judge judge.c -- -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu -O2 -g -Wall -Werror -mcpu=v3
