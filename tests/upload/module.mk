# SPDX-License-Identifier: MIT
# The uploader against the real collector and against a server that misbehaves; killed at every testpoint.
ifeq ($(HAVE_CURL)$(HAVE_MHD)$(call has,sqlite3),yesyesyes)
upload_LINK := $(shell pkg-config --libs libcurl sqlite3 libzstd)

$(eval $(call program,tests/upload/fill,tests/upload/fill.c,fr_pstore fr_core))
$(eval $(call program,tests/upload/hostile,tests/upload/hostile.c,fr_uploader fr_core,$(upload_LINK)))

# `flightrec` with FR_TESTPOINTS; the rule for $(O)/testpoints/ is in tests/daemon/module.mk
upload_tp_OBJ := $(patsubst %.c,$(O)/testpoints/%.o,$(wildcard uploader/*.c))
OBJECTS += $(upload_tp_OBJ)
$(O)/testpoints/uploader/schema.o: $(O)/schemas/index_sql.h
$(O)/tests/upload/flightrec-testpoints: $(upload_tp_OBJ) $(cli_SRC:%.c=$(O)/%.o) $(filter-out $(O)/libfr_uploader.a,$(cli_LIBS:%=$(O)/lib%.a))
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(cli_LINK) $(LDLIBS)

ifeq ($(call has,cmocka),yes)
$(eval $(call program,tests/upload/test_collector,tests/upload/test_collector.c tests/unit/unit_batch.c \
	$(filter-out uploader/collector/main.c uploader/collector/server.c,$(wildcard uploader/collector/*.c)),fr_uploader fr_core,$(upload_LINK) -lcmocka))
CHECKS += $(O)/tests/upload/test_collector
endif

CHECK_NEEDS += $(O)/flightrec-collector $(O)/tests/upload/fill $(O)/tests/upload/hostile $(O)/tests/upload/flightrec-testpoints
CHECKS += $(sort $(wildcard tests/upload/test_*.sh))
endif
