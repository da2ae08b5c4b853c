# SPDX-License-Identifier: MIT
# Every test_*.c here is one cmocka program that `make check` runs. Headers and helpers that several share: unit_*.[ch].
# It is linked with whatever libraries the tree has; the linker takes only what a test uses.
# make TEST_LIBS=fr_core CHECKS=... builds the tests of one module while another doesn't compile.
TEST_LIBS ?= $(if $(wildcard uploader/*.c),fr_uploader) $(if $(wildcard pstore/*.c),fr_pstore) \
	$(if $(wildcard recorder/client/*.c),flightrec) fr_core

TEST_PKGS := $(if $(wildcard uploader/*.c),$(foreach p,sqlite3 libcurl libzstd,$(if $(filter yes,$(call has,$(p))),$(p))))
TEST_LDLIBS := -Wl,--as-needed $(if $(TEST_PKGS),$(shell pkg-config --libs $(TEST_PKGS))) -lm -ldl

UNIT_TESTS   := $(patsubst tests/unit/%.c,tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(wildcard tests/unit/unit_*.c)

ifeq ($(call has,cmocka),yes)
$(eval $(call library,fr_unit,$(UNIT_HELPERS)))
$(foreach t,$(UNIT_TESTS),$(eval $(call program,$(t),$(t).c,fr_unit $(TEST_LIBS),$(TEST_LDLIBS) -lcmocka)))
CHECKS += $(UNIT_TESTS:%=$(O)/%)
TORTURES += $(foreach t,image_torn image_damage image_rates image_hostile segment_damage,$(O)/tests/unit/test_$(t))

unit: $(UNIT_TESTS:%=$(O)/%) ## build the unit tests
.PHONY: unit
endif
