package peers

//go:generate go tool bpf2go -go-package peers -target bpfel -cc clang -strip llvm-strip peers peers.c -- -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu -O2 -g -Wall -Werror -mcpu=v3
