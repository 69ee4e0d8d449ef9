# Every target is one word; `make help` lists them.
SHELL := /bin/bash
GO    ?= go
# Every x86-64 processor since 2009 counts bits in one instruction: the route
# trie need not ask for it.
export GOAMD64 ?= v2
BIN   := bin
# Binaries carry no paths of the machine that built them.
BUILD := -trimpath -ldflags "-X router/cmd/routerd/version.Version=$(shell git describe --always --dirty 2>/dev/null || echo unknown)"
# The packages that have goroutines or lock-free readers.
RACE  := ./vrf/... ./routing/... ./intf/... ./dataplane ./dataplane/host ./dataplane/xsk ./dataplane/afpacket ./dataplane/driver ./cmd/routerd/... ./cmd/rcli/...
FUZZTIME ?= 60s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: build
build: ## build routerd and rcli into bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build $(BUILD) -o $(BIN)/ ./cmd/routerd ./cmd/rcli

# Where the packet path spends its time, for the compiler (PGO): functions called
# there are inlined further. It costs a build of everything, so tests go without.
PROFILE := cmd/routerd/routerd.pgo

.PHONY: release
release: ## build for x86-64 of every level (v1) and from 2013 on (v3) into bin/release/, with the profile
	@set -e; for level in v1 v3; do mkdir -p $(BIN)/release/$$level; echo "== $$level"; \
	  CGO_ENABLED=0 GOAMD64=$$level $(GO) build $(BUILD) -pgo=$(CURDIR)/$(PROFILE) -o $(BIN)/release/$$level/ ./cmd/routerd; \
	  CGO_ENABLED=0 GOAMD64=$$level $(GO) build $(BUILD) -pgo=off -o $(BIN)/release/$$level/ ./cmd/rcli; done

.PHONY: profile
profile: ## take the profile that release builds with, from the benchmarks of the packet path
	$(GO) test -run '^$$' -bench 'Forward|PipelineFilter' -benchtime 2s -cpuprofile $(CURDIR)/$(PROFILE).new -o $(BIN)/profile.test ./dataplane
	mv $(PROFILE).new $(PROFILE); rm -f $(BIN)/profile.test

.PHONY: demo
demo: build ## a small world in network namespaces, and the router between its hosts (KEEP=1 leaves it up, DOWN=1 removes it)
	$(GO) run ./internal/demo $(if $(KEEP),-keep) $(if $(DOWN),-down)

.PHONY: test
test: ## every test; as root the privileged ones too (REQUIRE_PRIVILEGED=1: a skip fails)
	$(GO) test -count=1 -timeout 20m ./...

.PHONY: race
race: ## tests of the concurrent packages under the race detector
	$(GO) test -race -short -timeout 20m $(RACE)

.PHONY: bench
bench: ## benchmarks: tables, pipeline, commits, and (as root) packets per second through veth
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

# make bench-net VERB=setup, run, report or teardown does one part of it alone;
# ONLY=inet6/ chooses scenarios (a $ is written $$), DEVICES=redirect,linux what is measured.
VERB   ?= all
ROUNDS ?= 5
TIME   ?= 15m
.PHONY: bench-net
bench-net: build ## what the router forwards, beside others, as root: ROUNDS=5 TIME=15m; writes docs/performance.md and docs/plots
	$(GO) run ./internal/bench/net -rounds $(ROUNDS) -time $(TIME) $(if $(ONLY),-only '$(ONLY)') $(if $(DEVICES),-devices $(DEVICES)) $(if $(NOTE),-note '$(NOTE)') $(VERB)

.PHONY: instructions
instructions: ## instructions a packet takes in the user path, counted by callgrind (Debian's valgrind)
	./internal/bench/instructions '^BenchmarkForward$$/^inet$$/^routes=1$$' '^BenchmarkForward$$/^inet6$$/^routes=1$$'

.PHONY: gribi
gribi: ## gribigo's compliance tests against a routerd (as root; takes the network to build)
	REQUIRE_PRIVILEGED=1 $(GO) test -count=1 -v ./internal/e2e -run TestGRIBICompliance

.PHONY: soak
soak: ## ten million packets against Linux, a hundred million through both paths (as root), 10^8 fuzzed frames that must be accounted for, 1,000 kills under load (minutes)
	DIFFERENTIAL_PACKETS=10000000 ACCOUNTING_FRAMES=100000000 $(GO) test -count=1 -v -timeout 120m ./internal/differential
	EQUIVALENCE_PACKETS=100000000 $(GO) test -count=1 -v -timeout 120m -run TestEquivalence ./dataplane/bpf
	SURVIVE_KILLS=1000 $(GO) test -count=1 -v -timeout 120m -run TestSurvive ./internal/e2e

.PHONY: kernels
kernels: ## the BPF programs on Linux 5.15, 6.1, 6.8 and 6.12, in QEMU (needs qemu-system-x86_64, busybox-static and the archives; minutes)
	./internal/kernels/run

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (60s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

.PHONY: generate
generate: ## remake gen/, the BPF objects, the manual pages and completions (needs clang, llvm-strip and protoc)
	$(GO) generate ./gen ./gen/openconfig ./gen/configpb ./dataplane/bpf ./internal/testnet/traffic ./internal/bench/net/peers
	$(GO) test -count=1 ./cmd/rcli ./cmd/routerd/boot -run '^TestManual$$' -update

.PHONY: drift
drift: ## fail when generated files differ from what generate makes
	./internal/lint/drift

.PHONY: yang
yang: ## yanglint accepts the model and every example (Debian's libyang2-tools)
	./internal/lint/yang

.PHONY: lint
lint: ## gofmt, vet, staticcheck, errorlint, exhaustive, misspell, layering
	./internal/lint/run

.PHONY: check
check: drift yang lint ## everything but the tests

PREFIX ?= /usr/local
AT      = $(DESTDIR)$(PREFIX)

.PHONY: install
install: build ## programs, manual pages, completions and systemd unit into PREFIX (/usr/local), below DESTDIR
	install -D -m 755 -t $(AT)/sbin $(BIN)/routerd
	install -D -m 755 -t $(AT)/bin $(BIN)/rcli
	install -D -m 644 -t $(AT)/share/man/man1 docs/man/rcli.1
	install -D -m 644 -t $(AT)/share/man/man5 docs/man/routerd.yaml.5
	install -D -m 644 -t $(AT)/share/man/man8 docs/man/routerd.8
	install -D -m 644 -t $(AT)/share/bash-completion/completions docs/completions/bash/*
	install -D -m 644 -t $(AT)/share/zsh/site-functions docs/completions/zsh/*
	install -D -m 644 -t $(AT)/share/fish/vendor_completions.d docs/completions/fish/*
	install -d $(AT)/lib/systemd/system
	sed 's|/usr/local|$(PREFIX)|' examples/routerd.service > $(AT)/lib/systemd/system/routerd.service

.PHONY: clean
clean: ## remove what build made
	rm -rf $(BIN)
