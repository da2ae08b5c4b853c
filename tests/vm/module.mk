# SPDX-License-Identifier: MIT
# Scenarios that need a guest: see guest.sh. `make check-vm ONLY=dax` runs one.
ifneq ($(wildcard recorder/client/*.c),)
$(eval $(call program,tests/vm/witness,tests/vm/witness.c,flightrec fr_core))
$(eval $(call program,tests/vm/power_witness,tests/vm/power_witness.c,flightrec fr_core))
$(eval $(call program,tests/vm/volatile_disk,tests/vm/volatile_disk.c,))
VM_NEEDS += $(O)/tests/vm/witness $(O)/tests/vm/power_witness $(O)/tests/vm/volatile_disk
endif
VM_CHECKS += $(sort $(wildcard tests/vm/test_*.sh))
TORTURES += tests/vm/test_power_loss.sh
torture: $(VM_NEEDS)

demo-panic: all $(VM_NEEDS) ## a kernel panic in a guest: the next boot tells what the application and the kernel said last
	$(Q)FR_BUILD=$(abspath $(O)) tests/vm/demo-panic.sh

.PHONY: demo-panic
