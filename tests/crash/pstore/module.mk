# SPDX-License-Identifier: MIT
# Recovery is killed at each of its testpoints, so this is linked with objects that have them.
ifeq ($(call has,cmocka),yes)
recover_tp_OBJ := $(patsubst %.c,$(O)/testpoints/%.o,$(wildcard recorder/core/*.c pstore/*.c))
recover_killed_OBJ := $(patsubst %.c,$(O)/%.o,tests/crash/pstore/test_recover_killed.c tests/unit/unit_ring.c tests/unit/unit_scratch.c)
OBJECTS += $(recover_tp_OBJ) $(recover_killed_OBJ)

$(O)/testpoints/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -DFR_TESTPOINTS $(CFLAGS) -MMD -MP -c -o $@ $<
$(O)/tests/crash/pstore/test_recover_killed: $(recover_killed_OBJ) $(recover_tp_OBJ)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(recover_killed_OBJ) $(recover_tp_OBJ) -lcmocka -lm $(LDLIBS)

CHECKS += $(O)/tests/crash/pstore/test_recover_killed
endif
