# SPDX-License-Identifier: MIT
# Every fuzz_*.c is one property. `make check` replays its corpus; `make fuzz FUZZ=image` searches on (clang's libFuzzer).
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
$(foreach f,$(FUZZERS),$(eval $(call program,tests/fuzz/$(f),tests/fuzz/$(f).c tests/fuzz/replay.c,fr_core,)))
CHECKS += $(FUZZERS:%=$(O)/tests/fuzz/%)

FUZZ      ?= image
FUZZ_TIME ?= 60
fuzz: ## search for bytes that break FUZZ (image) for FUZZ_TIME seconds; needs clang
	$(Q)mkdir -p $(O)/fuzz/$(FUZZ)
	$(Q)$(CLANG) $(CPPFLAGS) -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-o $(O)/fuzz_$(FUZZ) tests/fuzz/fuzz_$(FUZZ).c $(wildcard recorder/core/*.c)
	$(Q)$(O)/fuzz_$(FUZZ) -max_total_time=$(FUZZ_TIME) -max_len=65536 -timeout=10 $(O)/fuzz/$(FUZZ) tests/fuzz/corpus/$(FUZZ)

.PHONY: fuzz
