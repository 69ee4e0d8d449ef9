package bpf

// The programs with filters are others, for those who have none not to pay for them.
//go:generate go tool bpf2go -go-package bpf -target bpfel -cc clang -strip llvm-strip filtering router.c -- -DFILTERS -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu -O2 -g -Wall -Werror -mcpu=v3

//go:generate go tool bpf2go -go-package bpf -target bpfel -cc clang -strip llvm-strip router router.c -- -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu -O2 -g -Wall -Werror -mcpu=v3

// The filters alone, for tests.
//go:generate go tool bpf2go -go-package judge -output-dir judge -type filter_packet -target bpfel -cc clang -strip llvm-strip judge judge/judge.c -- -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu -O2 -g -Wall -Werror -mcpu=v3

// The route lookup alone, for tests.
//go:generate go tool bpf2go -go-package lookup -output-dir lookup -type address -target bpfel -cc clang -strip llvm-strip lookup lookup/lookup.c -- -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu -O2 -g -Wall -Werror -mcpu=v3
