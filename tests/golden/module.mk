# SPDX-License-Identifier: MIT
# make golden GOLDEN=v1.1 - images of a new format, beside those of the old ones, which are never made again
$(eval $(call program,tests/golden/make_golden,tests/golden/make_golden.c tests/unit/unit_dump.c,fr_core,))

golden: $(O)/tests/golden/make_golden
	$(O)/tests/golden/make_golden tests/golden $(or $(GOLDEN),$(error GOLDEN=vX.Y says which version))

.PHONY: golden
