/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "recorder/cli/status.h"

static void losses(const uint64_t lost[FRM_LOSS_COUNT], struct fr_out *out)
{
	bool any = false;

	fr_out_put(out, "\"lost\":{");
	for (unsigned cause = 0; cause < FRM_LOSS_COUNT; cause++) {
		if (!lost[cause])
			continue;
		fr_out_printf(out, "%s\"%s\":%llu", any ? "," : "", fr_loss_name(cause), (unsigned long long)lost[cause]);
		any = true;
	}
	fr_out_char(out, '}');
}

static void ring_json(const struct ring_status *ring, struct fr_out *out)
{
	char id[37];

	fr_out_put(out, "{\"path\":");
	fr_out_json(out, ring->path);
	if (ring->error) {
		fr_out_put(out, ",\"error\":");
		fr_out_json(out, fr_image_strerror(ring->error));
		fr_out_char(out, '}');
		return;
	}
	fr_hex(id, ring->super.ring_id, 16);
	fr_out_printf(out, ",\"ring\":\"%s\"", id);
	fr_uuid_text(id, ring->super.boot_id);
	fr_out_printf(out, ",\"boot\":\"%s\",\"boot_seq\":%llu,\"pid\":%u,\"comm\":", id, (unsigned long long)ring->super.boot_seq,
		      ring->super.pid);
	fr_out_json(out, ring->super.comm);
	fr_out_printf(out, ",\"alive\":%s,\"died\":%s,\"bytes\":%llu,\"events\":%llu", ring->alive ? "true" : "false",
		      ring->gone ? "true" : "false", (unsigned long long)ring->super.ring_size, (unsigned long long)ring->events);
	if (ring->events)
		fr_out_printf(out, ",\"oldest_boot_ns\":%llu,\"newest_boot_ns\":%llu", (unsigned long long)ring->oldest_ns,
			      (unsigned long long)ring->newest_ns);
	fr_out_printf(out, ",\"rate\":%.1f,", ring->rate);
	losses(ring->lost, out);
	fr_out_char(out, '}');
}

void status_json(const struct status *status, struct fr_out *out)
{
	fr_out_put(out, "{\"state_dir\":");
	fr_out_json(out, status->store.state);
	fr_out_printf(out, ",\"now_boot_ns\":%llu,\"daemon\":%s,\"stores\":[", (unsigned long long)status->now_ns,
		      status->daemon ? status->daemon : "null");
	for (size_t i = 0; i < status->store_count; i++) {
		const struct store_status *store = &status->stores[i];

		fr_out_printf(out, "%s{\"path\":", i ? "," : "");
		fr_out_json(out, store->path);
		fr_out_printf(out, ",\"tier\":\"%s\",\"measured\":\"%s\",\"rings\":%llu,\"bytes\":%llu,\"free_bytes\":%llu}", store->tier,
			      store->measured, (unsigned long long)store->rings, (unsigned long long)store->bytes,
			      (unsigned long long)store->free_bytes);
	}
	fr_out_put(out, "],\"rings\":[");
	for (size_t i = 0; i < status->ring_count; i++) {
		if (i)
			fr_out_char(out, ',');
		ring_json(&status->ring[i], out);
	}
	fr_out_printf(out, "],\"spool\":{\"segments\":%llu,\"bytes\":%llu,\"quarantined\":%llu},\"index\":",
		      (unsigned long long)status->segments, (unsigned long long)status->segment_bytes,
		      (unsigned long long)status->quarantined);
	if (!status->has_index) {
		fr_out_put(out, "null");
	} else {
		fr_out_printf(out, "{\"bytes\":%llu,\"segments\":%llu,\"events\":%llu,\"incidents\":%llu,\"error\":",
			      (unsigned long long)status->index_bytes, (unsigned long long)status->indexed_segments,
			      (unsigned long long)status->indexed_events, (unsigned long long)status->incidents);
		fr_out_json(out, status->index_error);
		fr_out_char(out, '}');
	}
	fr_out_printf(out, ",\"upload\":{\"configured\":%s,\"batches\":%llu,\"bytes\":%llu}}\n", status->upload_on ? "true" : "false",
		      (unsigned long long)status->batches, (unsigned long long)status->batch_bytes);
}
