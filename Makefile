# SPDX-License-Identifier: MIT
# Builds out of tree into $(O). `make help` lists the targets. Each folder says in its module.mk what it holds;
# who may include whom is checked by tests/lib/check-includes.sh.

VERSION  := 0.1.0
O        ?= build
V        ?= 0
PREFIX   ?= /usr/local
LIBDIR   ?= $(PREFIX)/lib
SYSTEMD_UNIT_DIR ?= $(PREFIX)/lib/systemd/system
DESTDIR  ?=
CC       ?= gcc
CLANG    ?= clang
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
# auto: used when it is there; yes: an error when it is not; no: left out
WITH_BPF     ?= auto
WITH_CURL    ?= auto
WITH_SYSTEMD ?= auto
# address,undefined or thread; builds into a directory of its own unless O is given
SAN      ?=
WERROR   ?= 0

ifneq ($(SAN),)
ifeq ($(origin O),file)
O := build-$(subst $(comma),-,$(SAN))
endif
endif
comma := ,

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2);)

CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wvla -fvisibility=hidden -fPIC
CFLAGS   += $(if $(filter 1,$(WERROR)),-Werror) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFR_VERSION='"$(VERSION)"' -I. -I$(O) -Irecorder/include
LDFLAGS  += $(if $(SAN),-fsanitize=$(SAN))
LDLIBS   += -lpthread

has = $(shell pkg-config --exists $(1) 2>/dev/null && echo yes || echo no)
feature = $(if $(filter yes,$(1)),$(if $(filter yes,$(2)),yes,$(error $(3) is asked for and missing)),$(if $(filter no,$(1)),no,$(2)))
HAVE_BPF     := $(call feature,$(WITH_BPF),$(if $(filter yes,$(call has,libbpf)),$(if $(shell command -v $(CLANG)),$(if $(wildcard $(BPFTOOL))$(shell command -v $(BPFTOOL)),yes,no),no),no),eBPF: libbpf-dev, clang or bpftool)
HAVE_CURL    := $(call feature,$(WITH_CURL),$(call has,libcurl libzstd),upload: libcurl or libzstd)
HAVE_SYSTEMD := $(call feature,$(WITH_SYSTEMD),$(call has,libsystemd),libsystemd)
HAVE_MHD     := $(call has,libmicrohttpd)
CPPFLAGS += $(if $(filter yes,$(HAVE_BPF)),-DHAVE_BPF) $(if $(filter yes,$(HAVE_CURL)),-DHAVE_CURL) $(if $(filter yes,$(HAVE_SYSTEMD)),-DHAVE_SYSTEMD)

all: ## build everything (default)

# A library:  $(call library,name,sources)   -> $(O)/lib<name>.a
define library
$(1)_OBJ := $$(patsubst %.c,$(O)/%.o,$(2))
OBJECTS += $$($(1)_OBJ)
$(O)/lib$(1).a: $$($(1)_OBJ)
	$$(call say,AR,$$@)rm -f $$@ && $$(AR) rcs $$@ $$($(1)_OBJ)
endef
# A program:  $(call program,path,sources,archives,libraries)  -> $(O)/<path>
define program
$(1)_OBJ := $$(patsubst %.c,$(O)/%.o,$(2))
OBJECTS += $$($(1)_OBJ)
$(O)/$(1): $$($(1)_OBJ) $$(patsubst %,$(O)/lib%.a,$(3))
	$$(call say,LD,$$@)mkdir -p $$(@D) && $$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$($(1)_OBJ) $$(patsubst %,$(O)/lib%.a,$(3)) $(4) $$(LDLIBS)
endef

PROGRAMS  :=
LIBRARIES :=
CHECKS    :=
BENCHES   :=
include $(sort $(wildcard */module.mk */*/module.mk */*/*/module.mk))

all: $(LIBRARIES) $(PROGRAMS)

$(O)/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJECTS:.o=.d)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

clean: ## remove what was built
	$(Q)rm -rf $(O)

.PHONY: all help clean
.DELETE_ON_ERROR:
