# SPDX-License-Identifier: MIT
$(eval $(call program,flightrecd,$(wildcard recorder/daemon/*.c),fr_pstore fr_bpf fr_core,$(BPF_LIBS) $(if $(filter yes,$(HAVE_SYSTEMD)),-lsystemd)))
PROGRAMS += $(O)/flightrecd
