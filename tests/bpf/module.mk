# SPDX-License-Identifier: MIT
# Tests of the catalogue's samples (anybody) and of the loaded programs (root; else they say why they skip).
ifeq ($(call has,cmocka),yes)
BPF_TESTS := $(patsubst tests/bpf/%.c,tests/bpf/%,$(wildcard tests/bpf/test_*.c))
$(foreach t,$(BPF_TESTS),$(eval $(call program,$(t),$(t).c tests/bpf/bpf_test.c,fr_bpf fr_core,$(BPF_LIBS) -lcmocka)))
CHECKS += $(BPF_TESTS:%=$(O)/%)
ifeq ($(HAVE_BPF),yes)
VM_CHECKS += tests/bpf/guest.sh
VM_NEEDS  += $(BPF_TESTS:%=$(O)/%)
endif
endif
