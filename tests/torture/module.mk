# SPDX-License-Identifier: MIT
# Tortures that cross stages: from writers that are killed to the collector.
ifeq ($(HAVE_CURL)$(HAVE_MHD)$(call has,sqlite3),yesyesyes)
$(eval $(call program_with_testpoints,tests/torture/test_road,tests/torture/test_road.c $(points_SRC),,-ldl $(shell pkg-config --libs sqlite3)))
CHECKS += $(O)/tests/torture/test_road
TORTURES += $(O)/tests/torture/test_road
endif
