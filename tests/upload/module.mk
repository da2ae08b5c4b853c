# SPDX-License-Identifier: MIT
# The uploader against the real collector and against a server that misbehaves; killed at every testpoint.
ifeq ($(HAVE_CURL)$(HAVE_MHD)$(call has,sqlite3),yesyesyes)
upload_LINK := $(shell pkg-config --libs libcurl sqlite3 libzstd)

$(eval $(call program,tests/upload/fill,tests/upload/fill.c,fr_pstore fr_core))
$(eval $(call program,tests/upload/hostile,tests/upload/hostile.c,fr_uploader fr_core,$(upload_LINK)))

# `flightrec`, all of it with FR_TESTPOINTS
$(O)/testpoints/uploader/schema.o: $(O)/schemas/index_sql.h
$(eval $(call program_with_testpoints,tests/upload/flightrec-testpoints,$(cli_SRC) \
	$(wildcard recorder/core/*.c recorder/client/*.c pstore/*.c uploader/*.c),,$(cli_LINK)))

ifeq ($(call has,cmocka),yes)
$(eval $(call program,tests/upload/test_collector,tests/upload/test_collector.c tests/unit/unit_batch.c \
	$(filter-out uploader/collector/main.c uploader/collector/server.c,$(wildcard uploader/collector/*.c)),fr_uploader fr_core,$(upload_LINK) -lcmocka))
CHECKS += $(O)/tests/upload/test_collector
endif

CHECK_NEEDS += $(O)/flightrec-collector $(O)/tests/upload/fill $(O)/tests/upload/hostile $(O)/tests/upload/flightrec-testpoints
CHECKS += $(sort $(wildcard tests/upload/test_*.sh))
TORTURES += tests/upload/test_hostile.sh tests/upload/test_kill.sh
endif
