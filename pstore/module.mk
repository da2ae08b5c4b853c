# SPDX-License-Identifier: MIT
$(eval $(call library,fr_pstore,$(wildcard pstore/*.c)))
LIBRARIES += $(O)/libfr_pstore.a
