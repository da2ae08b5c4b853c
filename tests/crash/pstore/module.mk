# SPDX-License-Identifier: MIT
# Recovery is killed at each of its testpoints, so this is linked with objects that have them.
ifeq ($(call has,cmocka),yes)
$(eval $(call program_with_testpoints,tests/crash/pstore/test_recover_killed,tests/crash/pstore/test_recover_killed.c tests/unit/unit_ring.c \
	tests/unit/unit_scratch.c $(wildcard recorder/core/*.c pstore/*.c),,-lcmocka -lm))

CHECKS += $(O)/tests/crash/pstore/test_recover_killed
endif
