# SPDX-License-Identifier: MIT
# Tests of the real daemon in a scratch directory, with applications that behave and some that don't. The daemon that is
# killed at testpoints is built a second time, with FR_TESTPOINTS.
ifneq ($(wildcard recorder/client/*.c),)
$(eval $(call program,tests/daemon/client,tests/daemon/client.c,flightrec))
$(eval $(call program,tests/daemon/look,tests/daemon/look.c,fr_core))

daemon_tp_OBJ := $(patsubst %.c,$(O)/testpoints/%.o,$(wildcard recorder/core/*.c pstore/*.c recorder/daemon/*.c))
OBJECTS += $(daemon_tp_OBJ)
$(O)/testpoints/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -DFR_TESTPOINTS $(CFLAGS) -MMD -MP -c -o $@ $<
$(O)/tests/daemon/flightrecd-testpoints: $(daemon_tp_OBJ) $(O)/libfr_bpf.a $(O)/libfr_core.a
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(daemon_tp_OBJ) $(O)/libfr_bpf.a $(O)/libfr_core.a $(BPF_LIBS) \
		$(if $(filter yes,$(HAVE_SYSTEMD)),-lsystemd) $(LDLIBS)

CHECK_NEEDS += $(O)/flightrecd $(O)/tests/daemon/client $(O)/tests/daemon/look $(O)/tests/daemon/flightrecd-testpoints
CHECKS += $(sort $(wildcard tests/daemon/test_*.sh))
endif
