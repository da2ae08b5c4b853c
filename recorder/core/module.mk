# SPDX-License-Identifier: MIT
$(eval $(call library,fr_core,$(wildcard recorder/core/*.c)))
LIBRARIES += $(O)/libfr_core.a
