# SPDX-License-Identifier: MIT
# Every fuzz_*.c is one property. `make check` replays its corpus; `make fuzz` searches on (clang's libFuzzer). What a corpus reaches:
#	export CC=clang CFLAGS='-g -fprofile-instr-generate -fcoverage-mapping' LDFLAGS=-fprofile-instr-generate
#	make O=cov DEPS_DONE=1 cov/tests/fuzz/fuzz_ring && cov/tests/fuzz/fuzz_ring && llvm-profdata merge -o p default.profraw &&
#		llvm-cov report cov/tests/fuzz/fuzz_ring -instr-profile=p recorder/core
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# what a target needs besides its own file and the libraries
fuzz_ring_SRC    := $(addprefix tests/fuzz/,scratch.c sparse.c repair.c roundtrip.c)
fuzz_segment_SRC := $(fuzz_ring_SRC)
fuzz_config_SRC  := recorder/daemon/config.c
fuzz_request_SRC := tests/fuzz/scratch.c $(filter-out recorder/daemon/main.c recorder/daemon/log.c,$(wildcard recorder/daemon/*.c))
fuzz_evidence_SRC := tests/fuzz/scratch.c
fuzz_request_LIB := fr_bpf
fuzz_receive_SRC := tests/fuzz/store.c $(addprefix uploader/collector/,head.c event.c receive.c store.c)
fuzz_batch_SRC   := $(fuzz_receive_SRC)
fuzz_ring_MUTATOR    := tests/fuzz/mutate_image.c
fuzz_segment_MUTATOR := tests/fuzz/mutate_image.c

ifneq ($(HAVE_CURL)$(call has,sqlite3),yesyes)
FUZZ_TARGETS := $(filter-out answer receive batch evidence,$(FUZZ_TARGETS))
endif
FUZZ_LIBS    := $(if $(filter yes,$(call has,sqlite3)),fr_uploader) fr_pstore fr_core
FUZZ_PKGS    := $(foreach p,sqlite3 libcurl libzstd,$(if $(filter yes,$(call has,$(p))),$(p)))
FUZZ_LDLIBS   = -Wl,--as-needed $(BPF_LIBS) $(if $(filter yes,$(HAVE_SYSTEMD)),-lsystemd) $(if $(FUZZ_PKGS),$(shell pkg-config --libs $(FUZZ_PKGS)))

$(foreach f,$(FUZZ_TARGETS),$(eval $(call program,tests/fuzz/fuzz_$(f),tests/fuzz/fuzz_$(f).c $(fuzz_$(f)_SRC) tests/fuzz/replay.c,\
	$(fuzz_$(f)_LIB) $(FUZZ_LIBS),$(FUZZ_LDLIBS))))
CHECK_NEEDS += $(FUZZ_TARGETS:%=$(O)/tests/fuzz/fuzz_%)
CHECKS += tests/fuzz/test_corpus.sh
TORTURES += tests/fuzz/test_corpus.sh

# ------------------------------------------------------------------ searching: everything once more, with clang and its sanitizers
FUZZ      ?= $(FUZZ_TARGETS)
FUZZ_TIME ?= 60
FUZZ_O    := $(O)/fuzz
FUZZ_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

fuzz_OBJ := $(patsubst %.c,$(FUZZ_O)/%.o,$(wildcard recorder/core/*.c pstore/*.c uploader/*.c))
OBJECTS += $(fuzz_OBJ)
$(FUZZ_O)/uploader/schema.o: $(O)/schemas/index_sql.h

$(FUZZ_O)/%.o: %.c
	$(call say,CLANG,$@)mkdir -p $(@D) && $(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(FUZZ_O)/libfuzzed.a: $(fuzz_OBJ)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $(fuzz_OBJ)

define fuzzer
fuzz_$(1)_OBJ := $$(patsubst %.c,$(FUZZ_O)/%.o,tests/fuzz/fuzz_$(1).c $$(fuzz_$(1)_SRC) $$(fuzz_$(1)_MUTATOR))
OBJECTS += $$(fuzz_$(1)_OBJ)
$(FUZZ_O)/fuzz_$(1): $$(fuzz_$(1)_OBJ) $$(fuzz_$(1)_LIB:%=$(O)/lib%.a) $(FUZZ_O)/libfuzzed.a
	$$(call say,LD,$$@)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $$@ $$^ $(FUZZ_LDLIBS) $(LDLIBS)
endef
$(foreach f,$(FUZZ_TARGETS),$(eval $(call fuzzer,$(f))))

fuzz: $(FUZZ:%=$(FUZZ_O)/fuzz_%) ## search for bytes that break a property, FUZZ_TIME seconds each (FUZZ=name: one); needs clang
	$(Q)O=$(O) FUZZ_TIME=$(FUZZ_TIME) tests/fuzz/run.sh $(FUZZ)

.PHONY: fuzz
