# SPDX-License-Identifier: MIT
# libflightrec, shared and static. Core comes along, hidden: only flightrec_* leaves either form.
client_SRC := $(wildcard recorder/client/*.c)
client_OBJ := $(patsubst %.c,$(O)/%.o,$(client_SRC))
OBJECTS += $(client_OBJ)
LIBRARIES += $(O)/libflightrec.so $(O)/libflightrec.a
FLIGHTREC_SONAME := libflightrec.so.0

# nodelete: threads run its code when they exit, so dlclose must not take it away
$(O)/libflightrec.so.$(VERSION): $(client_OBJ) $(O)/libfr_core.a recorder/client/flightrec.map
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(FLIGHTREC_SONAME) -Wl,-z,nodelete -Wl,-z,defs \
		-Wl,--version-script=recorder/client/flightrec.map -o $@ $(client_OBJ) $(O)/libfr_core.a $(LDLIBS)

$(O)/$(FLIGHTREC_SONAME): $(O)/libflightrec.so.$(VERSION)
	$(Q)ln -sf $(<F) $@

$(O)/libflightrec.so: $(O)/$(FLIGHTREC_SONAME)
	$(Q)ln -sf $(<F) $@

$(O)/libflightrec.a: $(client_OBJ) $(O)/libfr_core.a
	$(call say,AR,$@)$(LD) -r -o $(O)/flightrec.o $(client_OBJ) $(O)/libfr_core.a && \
		objcopy --localize-hidden $(O)/flightrec.o && rm -f $@ && $(AR) rcs $@ $(O)/flightrec.o
