# SPDX-License-Identifier: MIT
# Tests of the real daemon in a scratch directory, with applications that behave and some that don't. The daemon that is
# killed at testpoints is built a second time, with FR_TESTPOINTS.
ifneq ($(wildcard recorder/client/*.c),)
$(eval $(call program,tests/daemon/client,tests/daemon/client.c,flightrec))
$(eval $(call program,tests/daemon/look,tests/daemon/look.c,fr_core))
$(eval $(call program,tests/daemon/test_load,tests/daemon/test_load.c tests/crash/oracle.c,flightrec fr_core))
$(eval $(call program,tests/daemon/hostile,tests/daemon/hostile.c,fr_core))

$(eval $(call program_with_testpoints,tests/daemon/flightrecd-testpoints,$(wildcard recorder/core/*.c pstore/*.c recorder/daemon/*.c),\
	fr_bpf fr_core,$(BPF_LIBS) $(if $(filter yes,$(HAVE_SYSTEMD)),-lsystemd)))
# and a client that is killed while it asks for a ring
$(eval $(call program_with_testpoints,tests/daemon/client-testpoints,tests/daemon/client.c $(wildcard recorder/core/*.c recorder/client/*.c)))

CHECK_NEEDS += $(O)/flightrecd $(O)/tests/daemon/client $(O)/tests/daemon/look $(O)/tests/daemon/hostile $(O)/tests/daemon/flightrecd-testpoints \
	$(O)/tests/daemon/client-testpoints
CHECKS += $(sort $(wildcard tests/daemon/test_*.sh))
CHECKS += $(O)/tests/daemon/test_load
TORTURES += tests/daemon/test_hostile.sh tests/daemon/test_killed_at_testpoints.sh $(O)/tests/daemon/test_load
endif
