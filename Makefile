# SPDX-License-Identifier: Apache-2.0
# The front door; CMakePresets.json holds the builds behind it.
#   make          install what is missing, build build/squall
#   make demo     a ten-second test of `squall echo` with 50 VUs
#   make test     all tests; the last line counts them
#   make bench    CPU, memory and start-up as ratios to a raw client; BENCH=--quick is shorter
#   make conformance  the cases of RFC 6455 and 7692 through each API, byte by byte, and over HTTP/2
#   make wpt      assertions on k6/websockets from the steps of the living standards
#   make soak     2,000 VUs for ten minutes: does memory stay where it was?
#   make asan     all tests again under AddressSanitizer and UBSan
#   make tsan     unit tests and runs of squall under ThreadSanitizer
#   make fuzz     every fuzz target for SECONDS=120
#   make check    formatting and layers;  make format  formats
#   make man      man/squall.1 from squall's own --help
#   make clean    removes the builds, keeps the fetched engine
# CMAKE_FLAGS goes to every configuration, TEST_FLAGS to tools/test.
JOBS ?= $(shell nproc)
SECONDS ?= 120
CMAKE_FLAGS ?=
TEST_FLAGS ?=
BENCH ?=
SQUALL = build/squall
C_FILES = $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null || \
	find src tests fuzz bench -name '*.[ch]' -not -path '*/node_modules/*')

configure = cmake --preset $(1) $(CMAKE_FLAGS) --log-level=WARNING >build/$(1).log || { cat build/$(1).log; exit 1; }
build = mkdir -p build && $(call configure,$(1)) && cmake --build --preset $(1) -j $(JOBS)

.PHONY: all debug demo test conformance wpt benches bench soak asan tsan fuzz format check man clean

all:
	@tools/setup build
	@$(call build,release) --target squall

debug:
	@tools/setup build
	@$(call build,debug)

demo: all
	@tools/demo $(SQUALL)

test: all debug
	@tools/setup test
	@tools/test --units build/debug --squall $(SQUALL) $(TEST_FLAGS)

conformance: all
	@tests/conformance/run --squall $(SQUALL) --api ws
	@tests/conformance/run --squall $(SQUALL) --api websockets
	@tests/conformance/run --squall $(SQUALL) --http2

wpt: all
	@tests/wpt/run --squall $(SQUALL)

benches: all
	@cmake --build --preset release -j $(JOBS) --target bench_server bench_floor bench_measure bench_micro

bench: benches
	@bench/run $(BENCH)
	@bench/scaling $(filter --quick --check,$(BENCH))

soak: benches
	@bench/soak

# Sanitizers make squall several times slower, so cases get more time.
asan:
	@tools/setup build test
	@$(call build,asan)
	@tools/test --units build/asan --squall build/asan/squall --time-limit 90 $(TEST_FLAGS)

tsan:
	@tools/setup build test
	@$(call build,tsan)
	@tools/test --units build/tsan --squall build/tsan/squall --time-limit 90 $(TEST_FLAGS)

fuzz:
	@tools/setup build fuzz
	@fuzz/run $(SECONDS)

format:
	@tools/setup format
	clang-format -i $(C_FILES)

check:
	@tools/setup format
	@clang-format --dry-run -Werror $(C_FILES) && echo "format: ok"
	@tools/check_layers

man: all
	tools/make_man $(SQUALL) >man/squall.1

clean:
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name engine -exec rm -rf {} +
