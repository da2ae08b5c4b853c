# SPDX-License-Identifier: MIT
# Builds out of tree into $(O). `make help` lists the targets. Each folder says in its module.mk what it holds;
# who may include whom is checked by tests/lib/check-includes.sh.

VERSION  := 0.1.0
O        ?= build
V        ?= 0
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
SBINDIR  ?= $(PREFIX)/sbin
LIBDIR   ?= $(PREFIX)/lib
SYSCONFDIR ?= /etc
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

comma := ,
ifneq ($(SAN),)
ifeq ($(origin O),file)
O := build-$(subst $(comma),-,$(SAN))
endif
endif

Q := $(if $(filter 1,$(V)),,@)

# Goals that install what they lack. What pkg-config finds has changed after that, so make is then entered again.
# DEPS_DONE=1 skips the installation: the features whose libraries are missing are left out.
FRONT := check check-vm torture demo demo-panic bench soak
deps_check := build check
deps_check-vm := build check vm
deps_torture := build check vm
deps_demo := build demo
deps_demo-panic := build vm
deps_bench := build demo bench
deps_soak := build check
DEPS ?= build check
ifeq ($(DEPS_DONE)$(filter-out $(FRONT) deps,$(or $(MAKECMDGOALS),all)),)

$(filter $(FRONT),$(MAKECMDGOALS)):
	$(Q)tests/lib/install-deps.sh $(deps_$@)
	$(Q)+$(MAKE) --no-print-directory DEPS_DONE=1 $@

.PHONY: $(FRONT)
.NOTPARALLEL:

else
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2);)

CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wvla -fvisibility=hidden -fPIC
CFLAGS   += $(if $(filter 1,$(WERROR)),-Werror) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
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

# A program that tests kill or stop inside (recorder/core/testpoint.h), all of it from source:
#   $(call program_with_testpoints,path,sources,archives,libraries)
define program_with_testpoints
$(1)_OBJ := $$(patsubst %.c,$(O)/testpoints/%.o,$(2))
OBJECTS += $$($(1)_OBJ)
$(O)/$(1): $$($(1)_OBJ) $$(patsubst %,$(O)/lib%.a,$(3))
	$$(call say,LD,$$@)mkdir -p $$(@D) && $$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$($(1)_OBJ) $$(patsubst %,$(O)/lib%.a,$(3)) $(4) $$(LDLIBS)
endef

PROGRAMS    :=
LIBRARIES   :=
# programs and scripts that `make check` runs (see tests/lib/run-checks.sh), and what these need built besides
CHECKS      :=
CHECK_NEEDS :=
# those of them that `make torture` runs with full counts, too
TORTURES    :=
VM_CHECKS   :=
VM_NEEDS    :=
BENCHES     :=
include $(sort $(wildcard */module.mk */*/module.mk */*/*/module.mk))

all: $(LIBRARIES) $(PROGRAMS)

$(O)/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/testpoints/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -DFR_TESTPOINTS $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJECTS:.o=.d)

run_checks = $(Q)O=$(O) V=$(V) CC="$(CC)" SAN=$(SAN) tests/lib/run-checks.sh
# ONLY=text: those whose path contains it
chosen = $(if $(ONLY),$(foreach check,$(1),$(if $(findstring $(ONLY),$(check)),$(check))),$(1))

check: all $(call chosen,$(CHECKS)) $(CHECK_NEEDS) ## install what is missing, build, run the tests (ONLY=text: some)
	$(run_checks) $(call chosen,$(CHECKS))

torture: all $(call chosen,$(TORTURES)) $(CHECK_NEEDS) ## the promises as counts: kills, damage, faults, hostility, load (ONLY=text: some)
	$(Q)O=$(O) V=$(V) CC="$(CC)" SAN=$(SAN) tests/torture/run.sh $(call chosen,$(TORTURES))

check-vm: all $(VM_NEEDS) ## the tests that need a guest: panics, resets, file systems (QEMU)
	$(run_checks) $(call chosen,$(VM_CHECKS))

install_env = O=$(O) VERSION=$(VERSION) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) BINDIR=$(BINDIR) SBINDIR=$(SBINDIR) \
	LIBDIR=$(LIBDIR) SYSCONFDIR=$(SYSCONFDIR) SYSTEMD_UNIT_DIR=$(SYSTEMD_UNIT_DIR)

install: all ## install below DESTDIR and PREFIX (/usr/local)
	$(Q)$(install_env) tests/lib/install.sh install

uninstall: ## remove what install put there; configuration and recorded data stay
	$(Q)$(install_env) tests/lib/install.sh uninstall

clean: ## remove what was built
	$(Q)rm -rf $(O)

.PHONY: all clean check check-vm torture install uninstall

endif # front goals

deps: ## install the packages that DEPS="build demo check vm bench" need (default: build check)
	$(Q)tests/lib/install-deps.sh $(DEPS)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps help
.DELETE_ON_ERROR:
