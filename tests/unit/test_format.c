/* SPDX-License-Identifier: MIT */
/*
 * test_format.c - FORMAT.md and fr_format.h say the same: every offset, size and constant of the document's tables is
 * compared with the compiler's, the tables leave no gap in a struct, and no struct is without its table.
 */
#include "tests/unit/unit.h"

#include "recorder/core/image.h"
#include "schemas/fr_format.h"

struct member {
	const char *owner, *name;
	size_t offset, size;
	bool documented;
};

#define M(type, name) { #type, #name, offsetof(struct type, name), sizeof(((struct type *)0)->name), false }

static struct member members[] = {
	M(frm_record, pos), M(frm_record, crc), M(frm_record, size_flags), M(frm_record, time_ns), M(frm_record, event),
	M(frm_record, cpu), M(frm_record, tid), M(frm_record, seq_session),

	M(frm_lane, magic), M(frm_lane, index), M(frm_lane, data_size), M(frm_lane, ring_id), M(frm_lane, boot_id),
	M(frm_lane, crc), M(frm_lane, reserved0), M(frm_lane, next_pos), M(frm_lane, next_seq), M(frm_lane, discarded),
	M(frm_lane, reserved1), M(frm_lane, owner), M(frm_lane, reserved2),

	M(frm_owner, from_pos), M(frm_owner, tid), M(frm_owner, crc), M(frm_owner, name),

	M(frm_super, magic), M(frm_super, version_major), M(frm_super, version_minor), M(frm_super, crc),
	M(frm_super, incompat), M(frm_super, compat), M(frm_super, ring_size), M(frm_super, meta_size),
	M(frm_super, lane_count), M(frm_super, lane_size), M(frm_super, policy), M(frm_super, kind), M(frm_super, ring_id),
	M(frm_super, boot_id), M(frm_super, machine_id), M(frm_super, boot_seq), M(frm_super, created_boot_ns),
	M(frm_super, created_real_ns), M(frm_super, pid), M(frm_super, ppid), M(frm_super, start_time_ns),
	M(frm_super, uid), M(frm_super, gid), M(frm_super, ident_flags), M(frm_super, shared_lanes), M(frm_super, comm),
	M(frm_super, exe), M(frm_super, cgroup), M(frm_super, hostname), M(frm_super, creator), M(frm_super, pid_namespace),
	M(frm_super, reserved),

	M(frm_state, closed_boot_ns), M(frm_state, reserved0), M(frm_state, loss), M(frm_state, gate),
	M(frm_state, reserved1),

	M(frm_tables, anchor), M(frm_tables, reserved), M(frm_tables, session),

	M(frm_anchor, boot_ns), M(frm_anchor, real_ns), M(frm_anchor, mono_ns), M(frm_anchor, crc), M(frm_anchor, reserved),

	M(frm_session, crc), M(frm_session, number), M(frm_session, provider), M(frm_session, begin_ns),
	M(frm_session, end_ns), M(frm_session, guid), M(frm_session, name),

	M(frm_desc, crc), M(frm_desc, size), M(frm_desc, type),

	M(frm_desc_provider, desc), M(frm_desc_provider, guid), M(frm_desc_provider, id), M(frm_desc_provider, name_len),
	M(frm_desc_provider, version_major), M(frm_desc_provider, version_minor),

	M(frm_desc_event, desc), M(frm_desc_event, keywords), M(frm_desc_event, id), M(frm_desc_event, provider),
	M(frm_desc_event, level), M(frm_desc_event, field_count), M(frm_desc_event, name_len),

	M(frm_field, type), M(frm_field, name_len), M(frm_field, unit_len), M(frm_field, reserved),

	M(frm_desc_module, desc), M(frm_desc_module, start), M(frm_desc_module, end), M(frm_desc_module, offset),
	M(frm_desc_module, build_id), M(frm_desc_module, build_id_len), M(frm_desc_module, reserved),
	M(frm_desc_module, path_len),

	M(frm_segment, magic), M(frm_segment, version_major), M(frm_segment, version_minor), M(frm_segment, crc),
	M(frm_segment, ring_id), M(frm_segment, boot_id), M(frm_segment, part), M(frm_segment, reason),
	M(frm_segment, salvaged_real_ns), M(frm_segment, salvaged_boot_ns), M(frm_segment, salvage_boot_id),
	M(frm_segment, reserved),

	M(frm_chunk, crc), M(frm_chunk, type), M(frm_chunk, size),
	M(frm_chunk_lane, lane), M(frm_chunk_lane, record_count), M(frm_chunk_lane, bytes), M(frm_chunk_lane, owner),
	M(frm_loss_entry, lane), M(frm_loss_entry, cause), M(frm_loss_entry, first_seq), M(frm_loss_entry, count),
	M(frm_loss_entry, from_pos), M(frm_loss_entry, to_pos),
	M(frm_seal, records), M(frm_seal, bytes),
};

#define S(type) { #type, sizeof(struct type), 0 }

static struct {
	const char *name;
	size_t size, documented; /* bytes that the table covers without a gap */
} structs[] = {
	S(frm_record), S(frm_lane), S(frm_owner), S(frm_super), S(frm_state), S(frm_tables), S(frm_anchor), S(frm_session),
	S(frm_desc), S(frm_desc_provider), S(frm_desc_event), S(frm_field), S(frm_desc_module), S(frm_segment), S(frm_chunk),
	S(frm_chunk_lane), S(frm_loss_entry), S(frm_seal),
};

#define C(name) { #name, (uint64_t)(name), false }

static struct {
	const char *name;
	uint64_t value;
	bool documented;
} constants[] = {
	C(FRM_MAGIC_RING), C(FRM_MAGIC_SEGMENT), C(FRM_MAGIC_LANE), C(FRM_VERSION_MAJOR), C(FRM_VERSION_MINOR), C(FRM_PAGE),
	C(FRM_RING_MIN), C(FRM_RING_MAX), C(FRM_LANES_MAX), C(FRM_LANE_HEAD), C(FRM_LANE_MIN), C(FRM_META_MIN), C(FRM_META_MAX),
	C(FRM_RECORD_ALIGN), C(FRM_RECORD_MAX), C(FRM_RECORD_SIZE_MASK), C(FRM_RECORD_DISCARDED), C(FRM_RECORD_TORN),
	C(FRM_SEQ_MASK), C(FRM_SESSION_SHIFT), C(FRM_CPU_NONE), C(FRM_LANE_NONE), C(FRM_PROVIDERS_MAX), C(FRM_SESSIONS_MAX),
	C(FRM_DESC_MAX), C(FRM_ANCHORS_MAX), C(FRM_OWNERS_MAX), C(FRM_IDENT_VOUCHED), C(FRM_POLICY_OVERWRITE), C(FRM_POLICY_DISCARD),
	C(FRM_INCOMPAT_KNOWN), C(FRM_COMPAT_KNOWN), C(FRM_GATE_KEYWORD_SHIFT), C(FRM_GATE_LEVELS),
	C(FRM_U8), C(FRM_U16), C(FRM_U32), C(FRM_U64), C(FRM_I8), C(FRM_I16), C(FRM_I32), C(FRM_I64), C(FRM_F64), C(FRM_STR),
	C(FRM_BYTES), C(FRM_JSON),
	C(FRM_LOSS_OVERWRITTEN), C(FRM_LOSS_TORN), C(FRM_LOSS_DAMAGED), C(FRM_LOSS_DISCARDED_FULL), C(FRM_LOSS_DISCARDED_BUSY),
	C(FRM_LOSS_DISCARDED_SIZE), C(FRM_LOSS_DISCARDED_DESC), C(FRM_LOSS_KERNEL_BUFFER), C(FRM_LOSS_KERNEL_LOG),
	C(FRM_LOSS_RETENTION),
};

static void check_member(unsigned line, const char *owner, const char *name, unsigned long offset, unsigned long size)
{
	for (size_t i = 0; i < COUNT(structs); i++) {
		if (strcmp(structs[i].name, owner))
			continue;
		if (structs[i].documented != offset)
			fail_msg("FORMAT.md:%u: %s.%s at %lu, but the row before ends at %zu", line, owner, name, offset,
				 structs[i].documented);
		structs[i].documented = offset + size;
	}
	for (size_t i = 0; i < COUNT(members); i++) {
		struct member *m = &members[i];

		if (strcmp(m->owner, owner) || strcmp(m->name, name))
			continue;
		if (m->offset != offset || m->size != size)
			fail_msg("FORMAT.md:%u: %s.%s at %lu, %lu bytes; the compiler says at %zu, %zu bytes", line, owner, name,
				 offset, size, m->offset, m->size);
		m->documented = true;
		return;
	}
	fail_msg("FORMAT.md:%u: struct %s has no member %s", line, owner, name);
}

static bool check_constant(unsigned line, const char *name, const char *text)
{
	uint64_t value = strtoull(text, NULL, 0);

	for (size_t i = 0; i < COUNT(constants); i++) {
		if (strcmp(constants[i].name, name))
			continue;
		if (constants[i].value != value)
			fail_msg("FORMAT.md:%u: %s is %#llx; the compiler says %#llx", line, name, (unsigned long long)value,
				 (unsigned long long)constants[i].value);
		constants[i].documented = true;
		return true;
	}
	return false;
}

static void read_document(void)
{
	FILE *file = fopen("schemas/FORMAT.md", "r");
	char text[4096], owner[64] = "", name[64], value[64];
	unsigned long offset, size;
	unsigned line = 0;

	if (!file)
		fail_msg("schemas/FORMAT.md: %s (tests run in the source's top folder)", strerror(errno));
	while (fgets(text, sizeof(text), file)) {
		line++;
		if (sscanf(text, "`struct %63[a-z_]`", name) == 1)
			strcpy(owner, name);
		else if (sscanf(text, "| %lu | %lu | %63[a-z_0-9] |", &offset, &size, name) == 3)
			check_member(line, owner, name, offset, size);
		else if (sscanf(text, "| `%63[A-Z_0-9]` | %63[x0-9a-f] |", name, value) == 2 && !check_constant(line, name, value))
			fail_msg("FORMAT.md:%u: unknown constant %s", line, name);
	}
	fclose(file);
}

TEST(test_I13_the_document_and_the_header_say_the_same)
{
	read_document();
	for (size_t i = 0; i < COUNT(members); i++)
		if (!members[i].documented)
			fail_msg("FORMAT.md has no row for %s.%s", members[i].owner, members[i].name);
	for (size_t i = 0; i < COUNT(constants); i++)
		if (!constants[i].documented)
			fail_msg("FORMAT.md has no row for %s", constants[i].name);
	for (size_t i = 0; i < COUNT(structs); i++)
		if (structs[i].documented != structs[i].size)
			fail_msg("FORMAT.md describes %zu bytes of struct %s, which has %zu", structs[i].documented, structs[i].name,
				 structs[i].size);
}

/* A struct that is added to the header and forgotten here would escape the comparison. */
TEST(test_no_struct_of_the_header_is_left_out)
{
	FILE *file = fopen("schemas/fr_format.h", "r");
	char text[4096], name[64];

	assert_non_null(file);
	while (fgets(text, sizeof(text), file)) {
		bool known = false;

		if (sscanf(text, "struct %63[a-z_] {", name) != 1 || !strchr(text, '{'))
			continue;
		for (size_t i = 0; i < COUNT(structs); i++)
			known |= !strcmp(structs[i].name, name);
		if (!known && strcmp(name, "frm_meta")) /* which is only the order of its parts */
			fail_msg("struct %s is not compared with FORMAT.md", name);
	}
	fclose(file);
}

TEST(test_losses_are_called_what_the_document_calls_them)
{
	FILE *file = fopen("schemas/FORMAT.md", "r");
	char text[4096], name[64];
	unsigned cause, count = 0;

	assert_non_null(file);
	while (fgets(text, sizeof(text), file)) {
		if (sscanf(text, "| `FRM_LOSS_%*[A-Z_]` | %u | %63[^|]", &cause, name) != 2)
			continue;
		name[strlen(name) - 1] = '\0'; /* the blank before the bar */
		assert_string_equal(name, fr_loss_name(cause));
		count++;
	}
	fclose(file);
	assert_int_equal(count, FRM_LOSS_COUNT);
}

TEST(test_the_parts_of_a_meta_lie_where_the_document_says)
{
	assert_int_equal(offsetof(struct frm_meta, super), 0);
	assert_int_equal(offsetof(struct frm_meta, state), 2048);
	assert_int_equal(offsetof(struct frm_meta, tables), 4096);
	assert_int_equal(offsetof(struct frm_meta, log), 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I13_the_document_and_the_header_say_the_same),
		cmocka_unit_test(test_no_struct_of_the_header_is_left_out),
		cmocka_unit_test(test_losses_are_called_what_the_document_calls_them),
		cmocka_unit_test(test_the_parts_of_a_meta_lie_where_the_document_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
