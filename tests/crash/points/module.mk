# SPDX-License-Identifier: MIT
# Writers that are killed, stopped and jumped out of at the testpoints of ring and library.
POINTS_TESTS := $(patsubst tests/crash/points/%.c,tests/crash/points/%,$(wildcard tests/crash/points/test_*.c))
points_SRC := tests/crash/points/life.c tests/crash/oracle.c $(wildcard recorder/client/*.c recorder/core/*.c)

$(foreach t,$(POINTS_TESTS),$(eval $(call program_with_testpoints,$(t),$(t).c $(points_SRC),,-ldl)))
CHECKS += $(POINTS_TESTS:%=$(O)/%)
TORTURES += $(POINTS_TESTS:%=$(O)/%)
