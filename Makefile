# kymo: a recorder and an analyser of what a Linux machine does.
#
#   make            build/kymo                make help       all targets
#
# Sources are found by wildcard: a new file needs no row here.
#
# O=FOLDER        where everything that is built goes (default: build)
# RECORD=0        the analyser alone: neither clang nor libbpf, libelf, libdw,
#                 libtraceevent, libiberty
# STATIC=1        one static binary
# SAN=LIST        sanitizers (address,undefined or thread), in a folder of their own
# DEV=1           more warnings, all of them errors
# CC=ARCH-linux-gnu-gcc SYSROOT=FOLDER  a cross build, against Debian's libraries
#                 for that architecture unpacked in FOLDER
# V=1             show whole command lines

RECORD ?= 1
STATIC ?= 0
DEV ?= 0
SAN ?=
comma := ,
O ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DESTDIR ?=

CC ?= cc
CLANG ?= clang
MANDOC ?= mandoc
BPFTOOL ?= $(or $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool),bpftool)
V ?= 0
quiet := $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(filter 0,$(V)$(quiet)),@printf '  %-7s %s\n' $(1) '$(@:$(CURDIR)/%=%)';)
NR_CPUS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# --- flags -------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wvla
ifeq ($(DEV),1)
WARNINGS += -Werror -Wundef -Wcast-qual -Wwrite-strings -Wold-style-definition
endif

MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
SYSROOT ?=
SYSROOT_CFLAGS := $(if $(SYSROOT),--sysroot=$(SYSROOT) \
	-isystem $(SYSROOT)/usr/include -isystem $(SYSROOT)/usr/include/$(MULTIARCH))
SYSROOT_LDFLAGS := $(foreach lib,$(if $(SYSROOT),$(SYSROOT)/usr/lib/$(MULTIARCH)), \
	-B$(lib) -L$(lib) -Wl,-rpath-link=$(lib))

CFLAGS ?= -O2 -g
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
ALL_CFLAGS := -std=gnu11 $(WARNINGS) -iquote . -iquote $(O) -pthread \
	-DKYMO_RECORD=$(RECORD) $(SAN_FLAGS) $(SYSROOT_CFLAGS) $(CFLAGS) $(CPPFLAGS)
ALL_LDFLAGS := -pthread $(SAN_FLAGS) $(if $(filter 1,$(STATIC)),-static) \
	$(SYSROOT_LDFLAGS) $(LDFLAGS)

ANALYSER_LIBS := -lzstd -lz -lm
# libbz2 is what libdw.a needs, no part of kymo.
RECORD_LIBS := -lbpf -ltraceevent -ldw -lelf -liberty -llzma $(if $(filter 1,$(STATIC)),-lbz2)
LIBS := $(if $(filter 1,$(RECORD)),$(RECORD_LIBS)) $(ANALYSER_LIBS)

ARCH := $(firstword $(subst -, ,$(MACHINE)))
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(ARCH)))
BPF_CFLAGS := -target bpf -O2 -g -Wall -Wextra -Wno-unused-parameter \
	-D__TARGET_ARCH_$(BPF_ARCH) -iquote . \
	$(if $(MULTIARCH),-idirafter $(SYSROOT)/usr/include/$(MULTIARCH))

# --- sources -----------------------------------------------------------------

# What of cmd/ is of no use without record/.
RECORD_CMD := cmd/cmd_list.c cmd/cmd_record.c $(wildcard cmd/record_*.c)
SRC := $(wildcard format/*.c report/*.c) \
	$(filter-out $(if $(filter 1,$(RECORD)),,$(RECORD_CMD)),$(wildcard cmd/*.c)) \
	$(if $(filter 1,$(RECORD)),$(wildcard record/*.c))
OBJ := $(SRC:%.c=$(O)/%.o)
objects = $(filter $(O)/$(1)/%,$(OBJ))

# kymo.o holds main(); the rest of cmd/ is a library so that tests can link it.
LIB_FORMAT := $(O)/libformat.a
LIB_REPORT := $(O)/libreport.a
LIB_RECORD := $(if $(filter 1,$(RECORD)),$(O)/librecord.a)
LIB_CMD := $(O)/libcmd.a
PROJECT_LIBS := $(LIB_CMD) $(LIB_RECORD) $(LIB_REPORT) $(LIB_FORMAT)

SKELETONS := $(patsubst %.bpf.c,$(O)/%.skel.h,$(wildcard bpf/*.bpf.c))
ASSETS := $(wildcard report/*.js report/*.css)
ASSET_HEADERS := $(ASSETS:%=$(O)/%.h)
MAN1 := $(wildcard Documentation/*.1)
MAN5 := $(wildcard Documentation/*.5)
PAGES := $(MAN1) $(MAN5)

UNIT_SRC := $(wildcard tests/unit/test_*.c)
ifneq ($(RECORD),1)
UNIT_SRC := $(if $(UNIT_SRC),$(shell grep -L '#include "record/' $(UNIT_SRC)))
endif
UNIT_TESTS := $(UNIT_SRC:%.c=$(O)/%)
TOOL_SRC := $(wildcard tests/*.c)
ifneq ($(RECORD),1)
TOOL_SRC := $(shell grep -LE '#include "(record|unit/live_|tests/unit/live_)' $(TOOL_SRC)) tests/schedgen.c
endif
TEST_TOOLS := $(TOOL_SRC:%.c=$(O)/%)
RUSTC := $(shell command -v rustc)
PROGRAM_SRC := $(wildcard tests/programs/*.c $(if $(SYSROOT),,tests/programs/*.cc \
	$(if $(RUSTC),tests/programs/*.rs)))
TEST_PROGRAMS := $(basename $(PROGRAM_SRC:%=$(O)/%))

# --- building ----------------------------------------------------------------

.PHONY: all
all: $(PROJECT_LIBS) $(if $(wildcard cmd/kymo.c),$(O)/kymo)

$(O)/kymo: $(O)/cmd/kymo.o $(PROJECT_LIBS)
	$(call say,LINK)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# `ar` only ever adds: the archive is made anew, without objects whose source is gone.
$(LIB_FORMAT): $(call objects,format)
$(LIB_REPORT): $(call objects,report)
$(LIB_CMD): $(filter-out %/kymo.o,$(call objects,cmd))
ifeq ($(RECORD),1)
$(LIB_RECORD): $(call objects,record)
endif
$(PROJECT_LIBS): $(O)/sources
	@rm -f $@
	@$(AR) rcs $@ $(filter %.o,$^)

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(call objects,record): | $(SKELETONS)
$(call objects,report): | $(ASSET_HEADERS)
$(call objects,cmd): | $(O)/cmd/version_git.h $(O)/Documentation/pages.h

# A change of flags or of the list of files builds anew what depends on it.
write_if_changed = mkdir -p $(@D) && printf '%s\n' $(1) >$@.new && \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.PHONY: FORCE
FORCE:
$(O)/flags: FORCE
	@$(call write_if_changed,'$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)')
$(O)/sources: FORCE
	@$(call write_if_changed,'$(SRC) $(PAGES)')
GIT_VERSION := $(shell git -c safe.directory='*' describe --always --dirty 2>/dev/null)
$(O)/cmd/version_git.h: FORCE
	@$(call write_if_changed,'#define KYMO_VERSION "$(strip $(shell cat VERSION))$(if $(GIT_VERSION), ($(GIT_VERSION)))"')

# BPF programs: record/ says #include "bpf/NAME.skel.h" and gets struct NAME_bpf.
$(O)/bpf/%.bpf.o: bpf/%.bpf.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $@.full $<
	@$(BPFTOOL) gen object $@ $@.full
# Compare-and-exchange, for kernels that have it.
$(O)/bpf/sched.bpf.o: BPF_CFLAGS += -mcpu=v3
$(O)/bpf/%.skel.h: $(O)/bpf/%.bpf.o
	@{ echo '#pragma GCC system_header'; $(BPFTOOL) gen skeleton $< name $*_bpf; } \
		>$@.new && mv $@.new $@
.PRECIOUS: $(O)/bpf/%.bpf.o

# Text as C: FOLDER/NAME.EXT becomes $(O)/FOLDER/NAME.EXT.h with the array
# `static const char NAME_EXT[]` (other characters than letters and digits are
# underscores), ended by a NUL.  report/flamegraph.c says
# #include "report/flamegraph.js.h" and uses flamegraph_js.
embed = mkdir -p $(@D) && { \
	echo 'static const char $(shell echo '$(1)' | tr -c 'A-Za-z0-9\n' _)[] = {'; \
	od -An -v -tx1 $(2) | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; \
	echo '0};'; } >$@.new && mv $@.new $@

$(O)/%.js.h: %.js
	@$(call embed,$(*F).js,$<)
$(O)/%.css.h: %.css
	@$(call embed,$(*F).css,$<)

# Manual pages, formatted here so that `kymo help` needs no man(1); bold and
# underlined characters are overstruck, as a terminal's pager expects.
$(O)/Documentation/%.txt: Documentation/%
	@mkdir -p $(@D)
	@command -v $(MANDOC) >/dev/null || { echo 'mandoc is missing (run: make deps)' >&2; exit 1; }
	@$(MANDOC) -T utf8 -O width=78 -I os=kymo $< >$@.new && mv $@.new $@
$(O)/Documentation/%.h: $(O)/Documentation/%.txt
	@$(call embed,$*,$<)
# pages.h: all of them, and a table of rows PAGE(name, section, text).
$(O)/Documentation/pages.h: $(PAGES:%=$(O)/%.h) $(O)/sources
	@mkdir -p $(@D); { for page in $(notdir $(PAGES)); do \
		echo "#include \"Documentation/$$page.h\""; \
	done; \
	printf '#define PAGES(PAGE)'; \
	for page in $(notdir $(PAGES)); do \
		printf ' \\\n\tPAGE("%s", %s, %s)' "$${page%.*}" "$${page##*.}" \
			"$$(echo $$page | tr -c 'A-Za-z0-9\n' _)"; \
	done; echo; } >$@.new && mv $@.new $@
.PRECIOUS: $(O)/Documentation/%.txt $(O)/Documentation/%.h

-include $(OBJ:.o=.d) $(SKELETONS:.skel.h=.bpf.d) \
	$(UNIT_TESTS:=.d) $(TEST_TOOLS:=.d) $(TEST_PROGRAMS:=.d)

# --- tests -------------------------------------------------------------------
#
#   make check                        everything
#   make check T=tests/e2e/pipe.t     only that (several: T='a b')
#   make check SAN=address,undefined  the same tests on a sanitized build
#   make check-vm                     all live tests on all kernels, emulated
#
# A unit test is tests/unit/test_NAME.c (cmocka), named here tests/unit/test_NAME.

TESTS_UNIT := $(UNIT_TESTS)
TESTS_GOLDEN := $(wildcard tests/golden/*.t)
TESTS_HOUSE := $(wildcard tests/house/*.t)
TESTS_LIVE := $(if $(filter 1,$(RECORD)),$(wildcard tests/e2e/*.t))
TESTS_VM := $(if $(filter 1,$(RECORD)),$(wildcard tests/vm/*.t))
T ?= $(TESTS_UNIT) $(TESTS_GOLDEN) $(TESTS_HOUSE) $(TESTS_LIVE) $(TESTS_VM)
CHOSEN := $(patsubst tests/unit/%,$(O)/tests/unit/%,$(T:tests/unit/%.c=tests/unit/%))

# Print formats are compared with libtraceevent.
UNIT_LDFLAGS := $(PROJECT_LIBS) -lcmocka $(LIBS) -ltraceevent
$(O)/tests/unit/%: tests/unit/%.c $(PROJECT_LIBS) $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(UNIT_LDFLAGS)
# tests/NAME.c: programs that tests use, such as the trace generator.  The description of
# the scheduler's event is all that one needs of record/.
$(O)/tests/schedgen: $(O)/record/scheddesc.o
$(O)/tests/%: tests/%.c $(PROJECT_LIBS) $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(filter %.o,$^) $(PROJECT_LIBS) $(LIBS)

# tests/programs/NAME.c, NAME.cc: what tests record.  Compiled with frame pointers
# and never sanitized; a comment "Build: FLAGS" in the file adds flags.  NAME.rs
# is left out where there is no Rust compiler; a cross build has only those in C.
PROGRAM_CFLAGS := -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -pthread
program_flags = $(PROGRAM_CFLAGS) $$(sed -n 's|^.*Build: \([^*]*\).*|\1|p' $<)
$(O)/tests/programs/%: tests/programs/%.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(program_flags) $(SYSROOT_CFLAGS) $(SYSROOT_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< -lm
$(O)/tests/programs/%: tests/programs/%.cc
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) $(program_flags) -MMD -MP -MF $@.d -o $@ $< -lm
$(O)/tests/programs/%: tests/programs/%.rs
	@mkdir -p $(@D)
	$(call say,RUST)MAKEFLAGS= $(RUSTC) -O -g -C force-frame-pointers=yes -o $@ $<

.PHONY: test-programs test-tools live-programs check check-run check-headers check-vm
test-programs: $(UNIT_TESTS) test-tools
test-tools: $(TEST_TOOLS) live-programs
live-programs: $(TEST_PROGRAMS)

JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(NR_CPUS))

check:
	@scripts/install-packages.sh $(BUILD_PACKAGES) $(TEST_PACKAGES)
	@+$(MAKE) --no-print-directory $(JOBS) all test-programs
	@+$(MAKE) --no-print-directory check-run

# One test more at a time than there are CPUs: a virtual machine leaves its idle for a third
# of its time.
check-run:
	@KYMO=$(abspath $(O)/kymo) BUILD=$(abspath $(O)) CC='$(CC)' RECORD=$(RECORD) \
	SAN='$(SAN)' CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8 \
	ASAN_OPTIONS=halt_on_error=1:abort_on_error=0:detect_leaks=1:exitcode=99 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	TSAN_OPTIONS=halt_on_error=1 MAKEFLAGS= HARNESS_RULESFILE=tests/testrules.yml \
	prove -e tests/run -j$$(($(NR_CPUS) + 1)) --timer --failures --comments $(CHOSEN)

# `make check` runs a core set on most kernels.
check-vm:
	@+KYMO_VM=all $(MAKE) --no-print-directory check T='$(TESTS_VM)'

check-headers:
	@+$(MAKE) --no-print-directory check-run T=tests/house/headers.t

# --- packages ----------------------------------------------------------------

BUILD_PACKAGES := scripts/packages/analyser.txt \
	$(if $(filter 1,$(RECORD)),scripts/packages/recorder.txt)
TEST_PACKAGES := scripts/packages/tests.txt scripts/packages/vm.txt

.PHONY: deps deps-test
deps:
	@scripts/install-packages.sh $(BUILD_PACKAGES)
deps-test:
	@scripts/install-packages.sh $(TEST_PACKAGES)

# --- trying it, measuring it, attacking it -----------------------------------

.PHONY: demo bench fuzz
demo: deps
	@+$(MAKE) --no-print-directory $(JOBS) all
	@KYMO=$(O)/kymo BUILD=$(O) CC='$(CC)' scripts/demo.sh

# BENCH='--json FILE' and other options of scripts/bench/bench.py.
bench: deps
	@scripts/install-packages.sh scripts/packages/bench.txt
	@+$(MAKE) --no-print-directory $(JOBS) all $(TEST_TOOLS)
	@KYMO=$(abspath $(O)/kymo) BUILD=$(abspath $(O)) CC='$(CC)' scripts/bench/bench.py $(BENCH)

# Each tests/fuzz/NAME.c is one libFuzzer target; it starts from the golden
# files, from tests/fuzz/corpus/NAME and from what it found itself before.
FUZZ_SECONDS ?= 60
FUZZ_NAMES := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_O := $(O)/fuzz
FUZZ_SAN := fuzzer-no-link,address,undefined
fuzz:
	@scripts/install-packages.sh $(BUILD_PACKAGES) scripts/packages/fuzz.txt
	@+$(MAKE) --no-print-directory $(JOBS) O=$(FUZZ_O) CC=$(CLANG) RECORD=0 SAN=$(FUZZ_SAN) \
		$(FUZZ_O)/libreport.a $(FUZZ_O)/libformat.a
	@+$(MAKE) --no-print-directory $(JOBS) $(FUZZ_NAMES:%=$(FUZZ_O)/%)
	@for name in $(FUZZ_NAMES); do \
		seeds=; \
		for folder in tests/golden tests/fuzz/corpus/$$name; do \
			[ ! -d $$folder ] || seeds="$$seeds $$folder"; \
		done; \
		mkdir -p $(FUZZ_O)/corpus/$$name; \
		echo "fuzz: $$name"; \
		$(FUZZ_O)/$$name -max_total_time=$$(( $(FUZZ_SECONDS) / $(words $(FUZZ_NAMES)) + 1 )) \
			-rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$(FUZZ_O)/$$name- $(FUZZ_O)/corpus/$$name $$seeds || exit 1; \
	done
$(FUZZ_O)/%: tests/fuzz/%.c $(FUZZ_O)/libreport.a $(FUZZ_O)/libformat.a
	$(call say,FUZZ)$(CLANG) -std=gnu11 $(WARNINGS) $(CFLAGS) -iquote . -iquote $(FUZZ_O) \
		-fsanitize=fuzzer,address,undefined -o $@ $^ $(ANALYSER_LIBS)

# --- installing --------------------------------------------------------------

.PHONY: install uninstall clean help
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5
	install -m 755 $(O)/kymo $(DESTDIR)$(BINDIR)/kymo
	install -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(MAN5) $(DESTDIR)$(MANDIR)/man5

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/kymo
	rm -f $(MAN1:Documentation/%=$(DESTDIR)$(MANDIR)/man1/%)
	rm -f $(MAN5:Documentation/%=$(DESTDIR)$(MANDIR)/man5/%)

clean:
	rm -rf $(O)

help:
	@echo 'make              build $(O)/kymo'
	@echo 'make demo         install what is missing, build, record, draw a flame graph'
	@echo 'make check        install what is missing, build, run all tests (T=FILE: one)'
	@echo 'make check-vm     run all live tests on all kernels, in emulated machines'
	@echo 'make bench        measure against perf (BENCH=--help)'
	@echo 'make fuzz         attack the reader (FUZZ_SECONDS=60)'
	@echo 'make install      to PREFIX=$(PREFIX), below DESTDIR'
	@echo 'make uninstall    take it away again'
	@echo 'make deps         install the packages a build needs'
	@echo 'make deps-test    install the packages the tests need'
	@echo 'make clean        remove $(O)'
	@echo
	@echo 'RECORD=0  the analyser alone       SAN=address,undefined  sanitizers'
	@echo 'STATIC=1  one static binary        DEV=1                  warnings are errors'
	@echo 'O=FOLDER  build there              T=tests/e2e/NAME.t     run that test'
