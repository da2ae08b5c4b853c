# SPDX-License-Identifier: MIT
# Tortures that cross stages: from writers that are killed to the collector.
ifeq ($(HAVE_CURL)$(HAVE_MHD)$(call has,sqlite3),yesyesyes)
$(eval $(call program_with_testpoints,tests/torture/test_road,tests/torture/test_road.c $(points_SRC),,-ldl $(shell pkg-config --libs sqlite3)))
CHECKS += $(O)/tests/torture/test_road
TORTURES += $(O)/tests/torture/test_road
endif

# Faults: a library that makes calls fail, preloaded into the programs as they are; not into
# sanitized ones, whose allocator has to come first.
ifneq ($(wildcard recorder/client/*.c),)
ifeq ($(HAVE_CURL)$(HAVE_MHD)$(call has,sqlite3)$(SAN),yesyesyes)
$(eval $(call program,tests/torture/test_faults,tests/torture/test_faults.c))
$(eval $(call program,tests/torture/fault_app,tests/torture/fault_app.c,flightrec fr_core))

$(O)/tests/torture/fault.so: tests/torture/fault.c tests/torture/fault_calls.h tests/torture/fault.h
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) -O2 -g -std=gnu11 -Wall -Wextra $(if $(filter 1,$(WERROR)),-Werror) -fPIC -shared -I. -D_GNU_SOURCE \
		-o $@ $< -ldl

CHECKS += $(O)/tests/torture/test_faults
TORTURES += $(O)/tests/torture/test_faults
CHECK_NEEDS += $(O)/tests/torture/fault.so $(O)/tests/torture/fault_app $(O)/flightrec-collector $(O)/tests/cli/make_rings \
	$(O)/tests/upload/fill $(O)/tests/daemon/client
endif
endif
