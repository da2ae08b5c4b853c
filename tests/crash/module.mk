# SPDX-License-Identifier: MIT
# Every test_*.c here is a program that kills, stops or otherwise mistreats programs that record through libflightrec.
CRASH_TESTS := $(patsubst tests/crash/%.c,tests/crash/%,$(wildcard tests/crash/test_*.c))

ifneq ($(wildcard recorder/client/*.c),)
$(foreach t,$(CRASH_TESTS),$(eval $(call program,$(t),$(t).c tests/crash/oracle.c,flightrec fr_core,-ldl)))
CHECKS += $(CRASH_TESTS:%=$(O)/%) $(wildcard tests/crash/test_*.sh)
TORTURES += $(O)/tests/crash/test_kill
CHECK_NEEDS += $(O)/libflightrec.so $(O)/tests/crash/plugin.so

# something to dlopen: a plugin with a provider of its own
$(O)/tests/crash/plugin.so: tests/crash/plugin.c $(O)/libflightrec.so
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -shared -Wl,-rpath,$(abspath $(O)) -o $@ $< $(O)/libflightrec.so
endif
