# SPDX-License-Identifier: MIT
# Scenarios that need a guest: see guest.sh. `make check-vm ONLY=dax` runs one.
ifneq ($(wildcard recorder/client/*.c),)
$(eval $(call program,tests/vm/witness,tests/vm/witness.c,flightrec fr_core))
VM_NEEDS += $(O)/tests/vm/witness
endif
VM_CHECKS += $(sort $(wildcard tests/vm/test_*.sh))
