# SPDX-License-Identifier: MIT
# The index needs SQLite; upload needs libcurl and libzstd, too (without them it is compiled to nothing).
ifeq ($(call has,sqlite3),yes)
$(eval $(call library,fr_uploader,$(wildcard uploader/*.c)))
LIBRARIES += $(O)/libfr_uploader.a

# schemas/index.sql as a C string
$(O)/schemas/index_sql.h: schemas/index.sql
	$(call say,GEN,$@)mkdir -p $(@D) && sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $< >$@
$(O)/uploader/schema.o: $(O)/schemas/index_sql.h
endif
