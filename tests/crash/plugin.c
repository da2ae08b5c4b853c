/* SPDX-License-Identifier: MIT */
/* plugin.c - what test_life.c loads and unloads while other threads record. */
#include <flightrec/flightrec.h>

FLIGHTREC_PROVIDER(plugin, "test.plugin", "99999999-2222-3333-4444-555555555555", 1, 0);

#define LOADED(F) F(u32, round, "")
FLIGHTREC_EVENT(plugin, loaded, FLIGHTREC_INFO, 0, LOADED)

__attribute__((visibility("default"))) int plugin_run(uint32_t round);

int plugin_run(uint32_t round)
{
	int r = flightrec_register(&plugin);

	if (r < 0)
		return r;
	r = flightrec_emit_loaded(0, round);
	flightrec_unregister(&plugin);
	return r;
}
