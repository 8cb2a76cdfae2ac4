# SPDX-License-Identifier: Apache-2.0
# A thin face over Meson and the scripts in tools/, tests/ and lab/. Each goal does its own set-up on
# a fresh Debian 12: packages (apt-get, sudo if need be), build, run.

BUILD ?= build
BIN ?= bin
PYTHON ?= /usr/bin/python3
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := all
.PHONY: all programs deps demo test bench fuzz sim install clean asan tsan

all: programs
	@ninja -C $(BUILD)

# Without the tests and the bench.
programs: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) -Dbuildtype=release -Db_lto=false
	@ninja -C $(BUILD) programs
	@tools/link-programs $(BUILD) $(BIN)

deps:
	@tools/install-deps build

# The story of a cluster that loses its primary, on real servers.
demo: programs
	@tools/install-deps lab
	@$(PYTHON) lab/demo

# TEST_ARGS: --quick, --only NAME, --asan (see tests/run --help)
test:
	@tools/install-deps build test
	@$(PYTHON) tests/run $(TEST_ARGS)

bench: all
	@tools/install-deps bench
	@$(PYTHON) tests/bench/run $(BENCH_ARGS)

fuzz:
	@tools/install-deps fuzz
	@$(PYTHON) tests/fuzz/run --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

sim: all
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs --suite sim

install: all
	@meson install -C $(BUILD) --no-rebuild

# Instrumented programs, in build-asan/bin and build-tsan/bin.
asan: deps
	@test -f build-asan/build.ninja || meson setup build-asan -Dbuildtype=debugoptimized \
	    -Db_sanitize=address,undefined
	@ninja -C build-asan
	@tools/link-programs build-asan build-asan/bin

tsan: deps
	@test -f build-tsan/build.ninja || meson setup build-tsan -Dbuildtype=debugoptimized \
	    -Db_sanitize=thread
	@ninja -C build-tsan
	@tools/link-programs build-tsan build-tsan/bin

clean:
	@rm -rf $(BUILD) build-asan build-tsan build-fuzz $(BIN)
