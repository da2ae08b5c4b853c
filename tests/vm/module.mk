# SPDX-License-Identifier: MIT
# Scenarios that need a guest: see guest.sh. `make check-vm ONLY=dax` runs one.
ifneq ($(wildcard recorder/client/*.c),)
$(eval $(call program,tests/vm/witness,tests/vm/witness.c,flightrec fr_core))
VM_NEEDS += $(O)/tests/vm/witness
endif
VM_CHECKS += $(sort $(wildcard tests/vm/test_*.sh))

demo-panic: all $(VM_NEEDS) ## a kernel panic in a guest: the next boot tells what the application and the kernel said last
	$(Q)FR_BUILD=$(abspath $(O)) tests/vm/demo-panic.sh

.PHONY: demo-panic
