# SPDX-License-Identifier: MIT
ifeq ($(HAVE_CURL)$(HAVE_MHD),yesyes)
$(eval $(call program,flightrec-collector,$(wildcard uploader/collector/*.c),fr_uploader fr_core,$(shell pkg-config --libs libmicrohttpd sqlite3 libzstd)))
PROGRAMS += $(O)/flightrec-collector
endif
