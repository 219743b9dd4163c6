# confab: build, run, test. `make help` lists the targets.

CC ?= cc
CLANG ?= clang
BUILD ?= build
PREFIX ?= /usr/local
WERROR ?= 1
VERSION := 0.1.0
MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
Q := $(if $(V),,@)

PKGS := libevent_core libevent_extra hiredis yaml-0.1 libssl libcrypto
MSGPACK := $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wcast-qual -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 \
	-Wnull-dereference -Wdouble-promotion -Wimplicit-fallthrough \
	-Wvla -Wredundant-decls
ifneq ($(findstring clang,$(CC)),clang)
WARN += -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init \
	-Wcast-align=strict
endif
ifeq ($(WERROR),1)
WARN += -Werror
endif

CPPFLAGS += -D_GNU_SOURCE -DCONFAB_VERSION='"$(VERSION)"' -I. \
	$(shell pkg-config --cflags $(PKGS) $(MSGPACK) 2>/dev/null)
BASE := -std=c11 -fvisibility=hidden -fno-common -g -MMD -MP
ifdef SANITIZE
CFLAGS ?= -O1 -fno-omit-frame-pointer
BASE += -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
else
CFLAGS ?= -O2
CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
BASE += -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif
LDFLAGS += -Wl,--as-needed
LDLIBS := $(shell pkg-config --libs $(PKGS) $(MSGPACK) 2>/dev/null) \
	-lwslay -lhttp_parser -lz -lm

# The library is everything but the two programs: the node with the chat
# application, and confabctl. The bundle is the official browser client, taken
# from npm and embedded.
LIB_SRC := $(wildcard common/*.c adapter/*.c server/http/*.c server/engine/*.c \
	server/io/*.c server/admin/*.c) $(filter-out server/main.c,$(wildcard server/*.c))
APP_SRC := server/main.c $(wildcard server/app/*.c)
CTL_SRC := $(wildcard server/ctl/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
APP_OBJ := $(APP_SRC:%.c=$(BUILD)/%.o)
CTL_OBJ := $(CTL_SRC:%.c=$(BUILD)/%.o)
FIXTURE_OBJ := $(patsubst tests/fixture/%.c,$(BUILD)/fixture/%.o,$(wildcard tests/fixture/*.c))
SIM_OBJ := $(patsubst tests/cluster/sim/%.c,$(BUILD)/sim/%.o,$(wildcard tests/cluster/sim/*.c))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BUNDLE := build/bundle/socket.io.js

.DEFAULT_GOAL := all
.SECONDARY:
.PHONY: all help deps deps-test run cluster test test-unit test-e2e test-cluster sim \
	test-browser test-compose test-big test-asan test-valgrind conformance lint fmt fuzz bench instr install clean

all: $(BUILD)/confab $(BUILD)/confabctl $(BUILD)/libconfab.a ## build the programs and the library

help: ## this list
	$(Q)grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 16

# ---- what must be installed -------------------------------------------------

deps: ## install what building and running need (Debian, root or sudo)
	$(Q)deploy/deps.sh build

deps-test: ## install what the tests need
	$(Q)deploy/deps.sh test

NEED_LIBS := $(filter-out help deps deps-test clean run cluster sim test test-% conformance bench lint fuzz fmt instr,$(or $(MAKECMDGOALS),all))
ifneq ($(NEED_LIBS),)
MISSING := $(shell deploy/deps.sh check)
ifneq ($(MISSING),)
$(error confab needs packages that are not installed: $(MISSING). Install them \
	with `make deps`, or: apt-get install $(MISSING))
endif
endif

# ---- build ------------------------------------------------------------------

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) $(WARN) -c -o $@ $<

$(BUILD)/fixture/%.o: tests/fixture/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) $(WARN) -c -o $@ $<

$(BUILD)/libconfab.a: $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/confab: $(APP_OBJ) $(BUILD)/libconfab.a
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/confabctl: $(CTL_OBJ) $(BUILD)/libconfab.a
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Assembler reads the embedded files, so the dependency is written here.
$(BUILD)/server/http/bundle.o: $(BUNDLE)
$(BUILD)/server/app/page.o: $(wildcard server/app/page/*)

$(BUNDLE): deploy/bundle/package.json deploy/bundle/package-lock.json
	@echo "  NPM   $@"
	$(Q)deploy/bundle/fetch.sh build/bundle

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libconfab.a
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $< \
		$(filter %.o,$^) $(BUILD)/libconfab.a $(LDLIBS) -lcmocka

$(BUILD)/tests/unit/test_ctl_line: $(BUILD)/server/ctl/line.o
$(BUILD)/tests/unit/test_ctl_wire: $(addprefix $(BUILD)/server/ctl/,url.o answer.o \
	frames.o eio.o http.o conn.o node_table.o)
$(BUILD)/tests/unit/test_ctl_bench: $(addprefix $(BUILD)/server/ctl/,latency.o \
	sequence.o reasons.o human.o)
$(BUILD)/tests/unit/test_ctl_top: $(addprefix $(BUILD)/server/ctl/,human.o top_sample.o)
$(BUILD)/tests/ctl/talk: $(addprefix $(BUILD)/server/ctl/,url.o answer.o frames.o \
	eio.o http.o conn.o client.o)

$(BUILD)/tests/fixture: $(FIXTURE_OBJ) $(BUILD)/libconfab.a
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The simulation brings its own connection to Redis, which the linker prefers
# to the library's, and listens to what adapters publish.
$(BUILD)/sim/%.o: tests/cluster/sim/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) $(WARN) -c -o $@ $<

$(BUILD)/tests/sim: $(SIM_OBJ) $(BUILD)/libconfab.a
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) -Wl,--wrap=redis_pubsub_publish \
		-o $@ $^ $(LDLIBS)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libconfab.a
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $< \
		$(filter %.o,$^) $(BUILD)/libconfab.a $(LDLIBS)

-include $(FIXTURE_OBJ:.o=.d) $(SIM_OBJ:.o=.d) $(LIB_OBJ:.o=.d) $(APP_OBJ:.o=.d) $(CTL_OBJ:.o=.d) $(UNIT:=.d) $(wildcard $(BUILD)/tests/*/*.d)

# ---- run --------------------------------------------------------------------

run: deps ## one node with the chat page on http://localhost:3000
	$(Q)$(MAKE) all
	$(Q)exec build/confab -c deploy/node.yaml

cluster: ## redis, haproxy and NODES=3 nodes; http://localhost:8080
	$(Q)deploy/deps.sh cluster
	$(Q)$(MAKE) all
	$(Q)exec deploy/cluster.sh

install: all ## into $(DESTDIR)$(PREFIX)
	install -Dm755 $(BUILD)/confab $(DESTDIR)$(PREFIX)/bin/confab
	install -Dm755 $(BUILD)/confabctl $(DESTDIR)$(PREFIX)/bin/confabctl
	install -Dm644 $(BUILD)/libconfab.a $(DESTDIR)$(PREFIX)/lib/libconfab.a
	install -Dm644 server/sio.h $(DESTDIR)$(PREFIX)/include/confab/sio.h
	sed 's|"server/sio.h"|"confab/sio.h"|' server/sio_emitter.h \
		>$(DESTDIR)$(PREFIX)/include/confab/sio_emitter.h
	install -Dm644 deploy/node.yaml $(DESTDIR)$(PREFIX)/share/confab/node.yaml
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man1 deploy/man/confab.1 deploy/man/confabctl.1
	install -d $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(BUILD)/confab --print-config | awk -f deploy/man/confab.yaml.5.awk \
		>$(DESTDIR)$(PREFIX)/share/man/man5/confab.yaml.5
	sed 's|@PREFIX@|$(PREFIX)|' deploy/systemd/confab@.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/confab@.service
	for program in confab confabctl; do install -Dm644 deploy/completion/confab.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$program; done
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LDLIBS)|' \
		deploy/confab.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/confab.pc

# ---- tests ------------------------------------------------------------------

test: deps-test ## everything
	$(Q)$(MAKE) all $(BUILD)/tests/fixture
	$(Q)tests/run.sh

test-unit test-e2e test-cluster test-browser test-compose test-big: deps-test ## one part of `make test`
	$(Q)$(MAKE) all $(BUILD)/tests/fixture
	$(Q)tests/run.sh $(@:test-%=%)

sim: deps ## SIM_RUNS=10000 runs of a simulated cluster
	$(Q)$(MAKE) $(BUILD)/tests/sim
	$(Q)$(BUILD)/tests/sim --runs $(or $(SIM_RUNS),10000)

conformance: deps-test ## the protocol's numbered checks, with a list of the results
	$(Q)$(MAKE) all $(BUILD)/tests/fixture
	$(Q)tests/run.sh conformance

test-asan: deps-test ## the suites under AddressSanitizer and UBSan
	$(Q)$(MAKE) BUILD=build/asan SANITIZE=1 all build/asan/tests/fixture
	$(Q)BUILD=build/asan tests/run.sh

test-valgrind: export MEMCHECK := valgrind -q --leak-check=full --errors-for-leak-kinds=definite,possible --error-exitcode=99
test-valgrind: deps-test ## the unit tests and some of the others under valgrind
	$(Q)$(MAKE) all $(BUILD)/tests/fixture
	$(Q)tests/run.sh unit
	$(Q)for part in events acks rooms binary presence; do TEST_ONLY=$$part tests/run.sh e2e || exit 1; done

unit-binaries: $(UNIT)

lint: deps-test ## format, layers, banned calls, cppcheck, complexity, clang-tidy
	$(Q)$(MAKE) all
	$(Q)tests/lint/run.sh

fmt: ## format the sources
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

fuzz: deps-test ## each target for FUZZ_SECONDS=60 from its corpus
	$(Q)$(MAKE) fuzz-binaries
	$(Q)tests/fuzz/run.sh

fuzz-binaries: $(FUZZ)

FUZZ_OBJ := $(LIB_SRC:%.c=build/fuzz/%.o)
build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	$(Q)$(CLANG) $(CPPFLAGS) -std=c11 -g -O1 -MMD -MP \
		-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -c -o $@ $<
build/fuzz/server/http/bundle.o: $(BUNDLE)
build/fuzz/libconfab.a: $(FUZZ_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libconfab.a
	@echo "  FUZZ  $<"
	$(Q)$(CLANG) $(CPPFLAGS) -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< build/fuzz/libconfab.a $(LDLIBS) -ljansson
-include $(wildcard build/fuzz/*/*.d build/fuzz/*/*/*.d)

bench: ## speed and memory beside the official Node.js server
	$(Q)deploy/deps.sh cluster
	$(Q)$(MAKE) all $(BENCH)
	$(Q)tests/bench/run.sh

BENCH := $(addprefix $(BUILD)/tests/bench/,load floor server)
$(BUILD)/tests/bench/load: $(addprefix $(BUILD)/tests/bench/,run.o fanout.o latency.o \
	echo.o churn.o idle.o joins.o hold.o script.o swarm.o packet.o inflate.o wire.o probe.o)
$(BUILD)/tests/bench/floor: $(addprefix $(BUILD)/tests/bench/,ring.o wire.o)

instr: deps-test ## instructions of the hot paths, against the committed numbers
	$(Q)$(MAKE) $(BUILD)/tests/instr/instr
	$(Q)CC="$(CC)" UPDATE="$(UPDATE)" tests/instr/run.sh

$(BUILD)/tests/instr/instr: $(addprefix $(BUILD)/tests/instr/,pure.o server.o)

clean: ## remove what was built
	$(Q)rm -rf build
