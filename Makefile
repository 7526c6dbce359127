# Thin on purpose: meson and ninja build, tools/ do the rest. Each target first installs the Debian packages that it
# misses (tools/packages/), with sudo only where we are not root.

PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 60
CRASH_IMAGES ?= 1000000
CRASH_SECONDS ?= 2700
CRASH_CORE_IMAGES ?= 30000
PYTEST       := /usr/bin/python3 -m pytest

.DEFAULT_GOAL := build
.PHONY: run test build bench fuzz crash crash-mutants torture check-clients check-peers check-style install rfc-status

# The program as it ships: build/veredus.
build:
	@tools/install-deps build
	@test -e build/build.ninja || CC=gcc meson setup build
	@ninja -C build veredus

# The demonstration; on a terminal the server stays until Ctrl-C.
run: build
	@if [ -t 0 ] && [ -t 1 ]; then exec build/veredus demo; else exec build/veredus demo --once; fi

test:
	@tools/install-deps build test peers
	@tools/fetch-peers unbound || :
	@tools/run-tests

# Beside Postfix and the bare acceptor. One thing at a time; nothing else should run on the machine.
bench:
	@tools/install-deps build bench
	@test -e build/build.ninja || CC=gcc meson setup build
	@ninja -C build veredus bench-tools
	@tools/fetch-peers postfix
	bench/accept
	bench/idle
	bench/large
	bench/relay
	bench/fanout
	bench/queue
	build/bench/trace

fuzz:
	@tools/install-deps build test
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/run-fuzz

# Power cuts: all of the spool's crash states that docs/durability-tests.md names, then the ones with mailboxes in the loop.
crash:
	@tools/install-deps build test
	@test -e build/build.ninja || CC=gcc meson setup build
	@ninja -C build src/core/crash/crash-spool src/core/crash/crash-remote src/core_crash_test
	build/src/core/crash/crash-spool --images $(CRASH_IMAGES) --seconds $(CRASH_SECONDS) --save build/crash-spool.image
	build/src/core/crash/crash-remote --save build/crash-remote.image
	VEREDUS_CRASH_IMAGES=$(CRASH_CORE_IMAGES) VEREDUS_CRASH_SAVE=build/crash-core.image build/src/core_crash_test

# Ten seeded defects, each of which those must catch.
crash-mutants:
	@tools/install-deps build test
	@test -e build/build.ninja || CC=gcc meson setup build
	@tools/crash-mutants

# Many rounds of what `make test` does a few times; VEREDUS_ROUNDS says how many.
torture: build
	@tools/install-deps test
	@ninja -C build bench-tools
	VEREDUS_ROUNDS=$${VEREDUS_ROUNDS:-500} $(PYTEST) -n 2 -m "torture or rounds" tests

check-clients: build
	@tools/install-deps test peers
	@tools/fetch-peers node-nodemailer
	$(PYTEST) -m "" tests/clients

check-peers: build
	@tools/install-deps test
	@tools/fetch-peers postfix exim opensmtpd dovecot unbound
	$(PYTEST) -m peer tests --ignore=tests/clients

check-style:
	@tools/install-deps test
	@status=0; for check in check-layers check-size check-banned check-format "rfcxref --check"; do \
	    tools/$$check || status=1; done; exit $$status

install: build
	@meson configure build -Dprefix=$(PREFIX)
	@ninja -C build veredus packaging/veredus.conf.5 packaging/veredus.conf.sample
	@meson install -C build --no-rebuild

# docs/rfc-status.md from the references in the code.
rfc-status:
	@tools/rfcxref --markdown >docs/rfc-status.md
