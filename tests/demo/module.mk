# SPDX-License-Identifier: MIT
# `make demo`: the whole road, told as a story (demo.sh)
$(eval $(call program,tests/demo/verdict,tests/demo/verdict.c,fr_core,))
$(eval $(call program,tests/demo/shop,tests/demo/shop.c,,-L$(O) -lflightrec -Wl$(comma)-rpath$(comma)$(abspath $(O))))
$(O)/tests/demo/shop: $(O)/libflightrec.so

DEMO_NEEDS := $(O)/tests/demo/shop $(O)/tests/demo/verdict

demo: all $(DEMO_NEEDS) ## record, crash, recover, show, upload: the whole road on real input, in a scratch directory
	$(Q)O=$(abspath $(O)) tests/demo/demo.sh

.PHONY: demo
