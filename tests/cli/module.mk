# SPDX-License-Identifier: MIT
$(eval $(call program,tests/cli/make_rings,tests/cli/make_rings.c,fr_core))
CHECK_NEEDS += $(O)/tests/cli/make_rings
CHECKS += tests/cli/test_cli.sh
