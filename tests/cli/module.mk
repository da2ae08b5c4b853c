# SPDX-License-Identifier: MIT
$(eval $(call program,tests/cli/make_rings,tests/cli/make_rings.c,fr_core))
$(eval $(call program,tests/cli/check_when,tests/cli/check_when.c recorder/cli/when.c))
CHECK_NEEDS += $(O)/tests/cli/make_rings
CHECKS += $(O)/tests/cli/check_when tests/cli/test_cli.sh tests/cli/test_json.sh
