# SPDX-License-Identifier: MIT
# libfr_bpf.a: the loader with its programs inside, or without libbpf one that says so. Programs that link it add
# $(BPF_LIBS) after fr_core.
BPF_ARCH    := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
# where the machine's own <asm/types.h> is; the target bpf does not look there
BPF_INCLUDE := $(firstword $(filter %/asm/types.h,$(shell $(CC) -M -x c -include asm/types.h /dev/null 2>/dev/null)))
BPF_CFLAGS  := -target bpf -mcpu=v3 -O2 -g -ffreestanding -Wall -Wextra $(if $(filter 1,$(WERROR)),-Werror) \
	-D__TARGET_ARCH_$(BPF_ARCH) $(if $(BPF_INCLUDE),-idirafter $(BPF_INCLUDE:/asm/types.h=)) -I.

ifeq ($(HAVE_BPF),yes)
BPF_LIBS  := $(shell pkg-config --libs libbpf)
BPF_SKELS := $(O)/bpf/core.skel.h $(O)/bpf/plain.skel.h

$(eval $(call library,fr_bpf,$(filter-out bpf/loader_none.c,$(filter-out %.bpf.c,$(wildcard bpf/*.c)))))
$(O)/bpf/attach.o: $(BPF_SKELS)

# bpftool's linker takes the debugger's sections away and leaves BTF
$(O)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $(@:.o=.full) $< && \
		$(BPFTOOL) gen object $@ $(@:.o=.full)
$(O)/bpf/%.skel.h: $(O)/bpf/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf >$@

-include $(O)/bpf/core.bpf.d $(O)/bpf/plain.bpf.d
.SECONDARY: $(BPF_SKELS:.skel.h=.bpf.o)
else
BPF_LIBS :=
$(eval $(call library,fr_bpf,bpf/loader_none.c bpf/names.c))
endif
LIBRARIES += $(O)/libfr_bpf.a
