# SPDX-License-Identifier: MIT
# The power is cut while evidence is on its way: the real programs on what a disk may hold then.
ifeq ($(HAVE_CURL)$(HAVE_MHD)$(call has,sqlite3),yesyesyes)
$(eval $(call program,tests/torture/power_cut/test_power_cut,$(addprefix tests/torture/power_cut/,test_power_cut.c cut_judge.c cut_story.c lines.c machine.c disk_model.c),fr_core,\
	$(shell pkg-config --libs sqlite3)))

# preloaded, and so without a sanitizer of its own
$(O)/tests/torture/power_cut/disk_log.so: tests/torture/power_cut/disk_log.c tests/torture/power_cut/disk.h
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -shared -o $@ $<

CHECK_NEEDS += $(O)/flightrec-collector $(O)/tests/torture/power_cut/disk_log.so
CHECKS += $(O)/tests/torture/power_cut/test_power_cut
TORTURES += $(O)/tests/torture/power_cut/test_power_cut
endif
