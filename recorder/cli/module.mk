# SPDX-License-Identifier: MIT
# The program `flightrec`. Without SQLite there is no index: no_index.c stands in for it, its commands are left out.
cli_INDEX := $(if $(wildcard uploader/query.c),$(call has,sqlite3),no)
cli_INDEX_ONLY := recorder/cli/index.c recorder/cli/incidents.c
cli_SRC := $(filter-out $(if $(filter yes,$(cli_INDEX)),recorder/cli/no_index.c,$(cli_INDEX_ONLY)),$(wildcard recorder/cli/*.c))
cli_LIBS := flightrec $(if $(filter yes,$(call has,sqlite3)),fr_uploader) fr_pstore fr_core
cli_LINK := $(if $(filter yes,$(call has,sqlite3)),$(shell pkg-config --libs sqlite3)) \
	$(if $(filter yes,$(HAVE_CURL)),$(shell pkg-config --libs libcurl libzstd))
$(eval $(call program,flightrec,$(cli_SRC),$(cli_LIBS),$(cli_LINK)))
PROGRAMS += $(O)/flightrec
