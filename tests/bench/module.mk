# SPDX-License-Identifier: MIT
# What `make bench` runs. The peer is built when LTTng-UST is installed.
ifneq ($(wildcard recorder/client/*.c),)
$(eval $(call program,tests/bench/bench_event,tests/bench/bench_event.c,flightrec,))
$(eval $(call program,tests/bench/bench_floor,tests/bench/bench_floor.c,fr_core,))
$(eval $(call program,tests/bench/bench_latency,tests/bench/bench_latency.c,flightrec,))
BENCHES += $(O)/tests/bench/bench_event $(O)/tests/bench/bench_floor $(O)/tests/bench/bench_latency
# a loop of four instructions takes twice as long where it lies across two lines of the cache
$(O)/tests/bench/bench_event.o $(O)/tests/bench/bench_floor.o $(O)/tests/bench/bench_lttng.o: CFLAGS += -falign-loops=64
BENCHES += $(O)/tests/daemon/client # whom the daemon's memory is measured with

ifeq ($(call has,sqlite3),yes)
$(eval $(call program,tests/bench/bench_peers,tests/bench/bench_peers.c,,$(shell pkg-config --libs sqlite3) \
	$(if $(filter yes,$(HAVE_SYSTEMD)),-lsystemd) $(if $(filter yes,$(call has,libqb)),-lqb)))
$(O)/tests/bench/bench_peers.o: CPPFLAGS += $(if $(filter yes,$(call has,libqb)),-DHAVE_QB)
BENCHES += $(O)/tests/bench/bench_peers
endif

ifeq ($(call has,lttng-ust),yes)
$(eval $(call program,tests/bench/bench_lttng,tests/bench/bench_lttng.c,,$(shell pkg-config --libs lttng-ust) -ldl))
BENCHES += $(O)/tests/bench/bench_lttng
endif

ifeq ($(HAVE_BPF),yes)
$(eval $(call program,tests/bench/bpf_bench,tests/bench/bpf_bench.c,fr_bpf fr_core,$(BPF_LIBS)))
BENCHES += $(O)/tests/bench/bpf_bench
endif

ifneq ($(and $(wildcard tests/bench/index_bench.c),$(filter yes,$(call has,sqlite3))),)
$(eval $(call program,tests/bench/index_bench,tests/bench/index_bench.c,fr_uploader fr_pstore fr_core,$(shell pkg-config --libs sqlite3 libcurl libzstd) -lm))
BENCHES += $(O)/tests/bench/index_bench
$(eval $(call program,tests/bench/upload_bench,tests/bench/upload_bench.c,fr_uploader fr_core,$(shell pkg-config --libs sqlite3 libcurl libzstd) -lm))
BENCHES += $(O)/tests/bench/upload_bench $(O)/tests/demo/shop $(O)/tests/demo/verdict
endif
endif

FIGURES ?=
bench: all $(BENCHES) ## print the figures (FIGURES="event index": some; tests/bench/figures)
	$(Q)O=$(O) tests/bench/run.sh $(FIGURES)

soak: all $(O)/tests/daemon/client ## an hour of life in small: does anything grow? (SOAK_SECONDS=3600)
	$(Q)O=$(O) tests/bench/soak.sh

.PHONY: bench soak
