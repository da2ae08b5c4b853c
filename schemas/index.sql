-- SPDX-License-Identifier: MIT
--
-- index.sql - the schema of STATE/index.db.
--
-- STABLE, to be relied upon by scripts: the views boots, processes, sessions, events, incidents, losses, segments, and
-- the views event_<name> that are made for each kind of event. Columns are only ever added. Everything else here is an
-- implementation detail: a new version of flightrec drops the file and makes it again from spool/.
--
-- CONVENTIONS of the views
--	*_ns       nanoseconds; time_ns is CLOCK_BOOTTIME of the boot named beside it, real_ns the wall clock since 1970
--	           (NULL when no anchor relates the two), wall the same as UTC text
--	boot, ring 32 hexadecimal digits; boot_seq the boot's number on its machine, 0 unknown
--	lane, seq  with ring the global key of an event
--	u64        SQLite's integers are signed: a value above 2^63 - 1 shows as value - 2^64
--	NULL       not known
--
-- TYPED FIELDS. For each event name there is a view event_<name>, all but letters and digits replaced by "_"
-- (proc.exit -> event_proc_exit). Its first columns are _boot_seq _time_ns _real_ns _level _pid _tid _comm _ring
-- _lane _seq; then one column for each field under its own name. It decodes the payload in plain SQL, so that any
-- sqlite3 shell can read it. Where several versions of an event exist, the view has the fields of all of them.
--
--	SELECT _real_ns, pid, signal FROM event_proc_exit WHERE signal <> 0;
--
-- In `flightrec index --sql` the view events also has a column `fields`: all of them as one JSON object.

-- ------------------------------------------------------------------ tables

CREATE TABLE boot (
	id INTEGER PRIMARY KEY,
	boot_id BLOB NOT NULL UNIQUE,
	seq INTEGER NOT NULL,		-- 0 unknown
	machine_id BLOB
);

-- Segments of the spool. error: why it could not be read; such a one has no events.
CREATE TABLE segment (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	size INTEGER NOT NULL,
	mtime_ns INTEGER NOT NULL,
	ring INTEGER,
	part INTEGER,
	reason INTEGER,			-- enum frm_reason
	salvaged_real_ns INTEGER,
	closed_ns INTEGER,
	first_ns INTEGER,		-- CLOCK_BOOTTIME of its oldest and newest event
	last_ns INTEGER,
	records INTEGER NOT NULL DEFAULT 0,
	source TEXT,			-- where a harvested one comes from
	error TEXT
);
CREATE INDEX segment_ring ON segment (ring);

CREATE TABLE anchor (			-- relation of the clocks
	boot INTEGER NOT NULL,
	boot_ns INTEGER NOT NULL,
	segment INTEGER NOT NULL,
	real_ns INTEGER NOT NULL,
	PRIMARY KEY (boot, boot_ns, segment)
) WITHOUT ROWID;
CREATE INDEX anchor_segment ON anchor (segment);

CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);	-- of threads

CREATE TABLE provider (
	id INTEGER PRIMARY KEY,
	guid BLOB NOT NULL,
	name TEXT NOT NULL,
	major INTEGER NOT NULL,
	minor INTEGER NOT NULL,
	UNIQUE (guid, name, major, minor)
);

CREATE TABLE descriptor (		-- a kind of event
	id INTEGER PRIMARY KEY,
	provider INTEGER NOT NULL,
	name TEXT NOT NULL,
	level INTEGER NOT NULL,
	keywords INTEGER NOT NULL,
	-- a line a field: type (a number of enum frm_type), name, unit, separated by tabs
	fields TEXT NOT NULL,
	known INTEGER NOT NULL,		-- 0: its descriptor was lost, the payload is bytes
	UNIQUE (name, provider, level, keywords, fields, known)
);

CREATE TABLE process (			-- an identity, as someone saw it
	id INTEGER PRIMARY KEY,
	boot INTEGER NOT NULL,
	pid INTEGER NOT NULL,
	start_time_ns INTEGER NOT NULL,
	ppid INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	gid INTEGER NOT NULL,
	comm TEXT NOT NULL,
	exe TEXT NOT NULL,
	cgroup TEXT NOT NULL,
	UNIQUE (boot, pid, start_time_ns, ppid, uid, gid, comm, exe, cgroup)
);

CREATE TABLE ring (
	id INTEGER PRIMARY KEY,
	ring_id BLOB NOT NULL UNIQUE,
	boot INTEGER NOT NULL,
	kind INTEGER NOT NULL,		-- enum frm_kind
	process INTEGER NOT NULL,
	policy INTEGER NOT NULL,
	ident_flags INTEGER NOT NULL,
	created_ns INTEGER NOT NULL,
	creator TEXT NOT NULL,
	hostname TEXT NOT NULL,
	events INTEGER NOT NULL DEFAULT 0 -- that the index holds; worked out with the losses
);

-- A lane, in runs of 2^32 records: the event with number seq has the id stream << 32 | (seq & 0xffffffff).
CREATE TABLE stream (
	id INTEGER PRIMARY KEY,
	ring INTEGER NOT NULL,
	lane INTEGER NOT NULL,
	high INTEGER NOT NULL,		-- seq >> 32
	UNIQUE (ring, lane, high)
);

CREATE TABLE event (
	id INTEGER PRIMARY KEY,
	boot INTEGER NOT NULL,
	time INTEGER NOT NULL,		-- never before its predecessor in the lane
	descriptor INTEGER NOT NULL,
	tid INTEGER,
	cpu INTEGER,
	session INTEGER,		-- its number in the ring
	thread INTEGER,			-- in name
	process INTEGER,		-- when it is not the ring's
	flags INTEGER,
	lag INTEGER,			-- time minus what the record says, when that lies before its predecessor
	payload BLOB			-- as recorded; FORMAT.md says how it is encoded
);
CREATE INDEX by_time ON event (boot, time);

-- What incidents are made of: what an event says of the death of `pid` (of a process, or 0: the kernel).
CREATE TABLE witness (
	event INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL,		-- enum fr_witness
	boot INTEGER NOT NULL,
	time INTEGER NOT NULL,
	pid INTEGER NOT NULL,
	start_time_ns INTEGER NOT NULL,
	process INTEGER,
	ring INTEGER NOT NULL,		-- that holds the event
	signal INTEGER NOT NULL,
	code INTEGER NOT NULL,		-- of exit, or si_code
	flags INTEGER NOT NULL,		-- 1: a core was dumped; 2: signal and code are known; 4: there is no handler
	address INTEGER NOT NULL,
	other_pid INTEGER NOT NULL,	-- the sender
	text TEXT NOT NULL		-- the sender's name; the reason; how it died
);
CREATE INDEX witness_pid ON witness (boot, pid);

CREATE TABLE session (
	segment INTEGER NOT NULL,
	number INTEGER NOT NULL,
	begin_ns INTEGER NOT NULL,
	end_ns INTEGER NOT NULL,	-- 0: not ended
	provider INTEGER,
	guid BLOB,
	name TEXT NOT NULL,
	PRIMARY KEY (segment, number, begin_ns)
) WITHOUT ROWID;

-- Which numbers of a lane a segment holds, and what it says of the others.
CREATE TABLE extent (
	segment INTEGER NOT NULL,
	lane INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (segment, lane, first)
) WITHOUT ROWID;
CREATE TABLE claim (
	segment INTEGER NOT NULL,
	lane INTEGER NOT NULL,		-- -1: the ring's ledger
	cause INTEGER NOT NULL,		-- enum frm_loss; -1: given back by its writer, no loss
	first INTEGER NOT NULL,		-- -1: without a place
	count INTEGER NOT NULL,
	PRIMARY KEY (segment, lane, cause, first)
) WITHOUT ROWID;
CREATE TABLE segment_descriptor (segment INTEGER NOT NULL, descriptor INTEGER NOT NULL, events INTEGER NOT NULL,
	PRIMARY KEY (segment, descriptor)) WITHOUT ROWID;
CREATE TABLE segment_process (segment INTEGER NOT NULL, process INTEGER NOT NULL,
	PRIMARY KEY (segment, process)) WITHOUT ROWID;

-- From spool/retention.log and spool/acks.log, and what lies in the outbox.
CREATE TABLE dropped (			-- what dropped segments held, and what they said of the rest
	ring_id BLOB NOT NULL,		-- or the boot's: of its rings of which nothing is left
	lane INTEGER NOT NULL,		-- -1: the ring's ledger
	cause INTEGER NOT NULL,		-- as in claim; -2: held and never sent; -3: held and sent
	first INTEGER NOT NULL,		-- of a count without a place: the segment's part
	last INTEGER NOT NULL,
	count INTEGER NOT NULL,
	boot_id BLOB NOT NULL,
	PRIMARY KEY (ring_id, lane, cause, first)
) WITHOUT ROWID;
CREATE TABLE mark (
	ring_id BLOB NOT NULL,
	lane INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	state INTEGER NOT NULL,		-- enum fr_mark
	PRIMARY KEY (ring_id, lane, first, last)
) WITHOUT ROWID;
CREATE TABLE progress (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE stale (boot INTEGER PRIMARY KEY); -- its incidents have to be worked out again

-- Worked out from the above after each ingest.
CREATE TABLE loss (
	ring_id BLOB NOT NULL,
	boot_id BLOB NOT NULL,
	lane INTEGER,			-- NULL: counted without a place
	cause INTEGER NOT NULL,
	first INTEGER,
	count INTEGER NOT NULL
);
CREATE INDEX loss_ring ON loss (ring_id);
CREATE TABLE incident (
	id TEXT PRIMARY KEY,
	kernel INTEGER NOT NULL,
	boot INTEGER NOT NULL,
	time INTEGER NOT NULL,
	process INTEGER,
	ring INTEGER,
	cause TEXT NOT NULL,
	evidence TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE cause (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO cause VALUES (0, 'overwritten'), (1, 'torn'), (2, 'damaged'), (3, 'discarded: lane full'),
	(4, 'discarded: no lane free'), (5, 'discarded: too large'), (6, 'discarded: descriptor log full'),
	(7, 'kernel buffer full'), (8, 'kernel log overrun'), (9, 'dropped by retention');
CREATE TABLE level (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO level VALUES (1, 'critical'), (2, 'error'), (3, 'warning'), (4, 'info'), (5, 'verbose');

-- ------------------------------------------------------------------ views

-- Internal: an event with its references resolved, and the wall clock of its instant by the anchor before it.
CREATE VIEW resolved AS SELECT
	e.id AS event_id, e.boot, e.time, e.time - ifnull(e.lag, 0) AS time_ns,
	e.time - ifnull(e.lag, 0) + ifnull(
		(SELECT a.real_ns - a.boot_ns FROM anchor a WHERE a.boot = e.boot AND a.boot_ns <= e.time
			ORDER BY a.boot_ns DESC LIMIT 1),
		(SELECT a.real_ns - a.boot_ns FROM anchor a WHERE a.boot = e.boot ORDER BY a.boot_ns LIMIT 1)) AS real_ns,
	e.descriptor, e.tid, e.cpu, e.session, e.thread, ifnull(e.process, r.process) AS process, e.payload,
	r.id AS ring_ref, lower(hex(r.ring_id)) AS ring, s.lane, s.high << 32 | e.id & 0xffffffff AS seq
	FROM event e JOIN stream s ON s.id = e.id >> 32 JOIN ring r ON r.id = s.ring;

-- One row a boot that left something behind.
CREATE VIEW boots AS SELECT
	b.seq AS boot_seq, lower(hex(b.boot_id)) AS boot, lower(hex(b.machine_id)) AS machine,
	(SELECT min(s.first_ns) FROM ring r JOIN segment s ON s.ring = r.id WHERE r.boot = b.id) AS first_ns,
	(SELECT max(s.last_ns) FROM ring r JOIN segment s ON s.ring = r.id WHERE r.boot = b.id) AS last_ns,
	(SELECT a.real_ns - a.boot_ns FROM anchor a WHERE a.boot = b.id ORDER BY a.boot_ns LIMIT 1) AS started_real_ns,
	(SELECT count(*) FROM ring r WHERE r.boot = b.id) AS rings,
	(SELECT sum(r.events) FROM ring r WHERE r.boot = b.id) AS events,
	(SELECT count(*) FROM incident i WHERE i.boot = b.id) AS incidents
	FROM boot b;

-- One row a process; start times of one process agree within 10 ms.
CREATE VIEW processes AS SELECT
	b.seq AS boot_seq, lower(hex(b.boot_id)) AS boot, p.pid, p.start_time_ns, p.ppid, p.uid, p.gid, p.comm, p.exe, p.cgroup,
	CASE WHEN max(r.id IS NOT NULL) THEN lower(hex(r.ring_id)) END AS ring,
	CASE WHEN r.id IS NOT NULL THEN r.ident_flags & 1 END AS vouched, r.events AS ring_events
	FROM process p JOIN boot b ON b.id = p.boot LEFT JOIN ring r ON r.process = p.id WHERE p.pid <> 0
	GROUP BY p.boot, p.pid, p.start_time_ns / 10000000;

CREATE VIEW sessions AS SELECT
	b.seq AS boot_seq, lower(hex(b.boot_id)) AS boot, lower(hex(r.ring_id)) AS ring, p.pid, p.comm, x.number, x.name,
	lower(hex(x.guid)) AS guid, v.name AS provider, x.begin_ns, nullif(max(x.end_ns), 0) AS end_ns
	FROM session x JOIN segment s ON s.id = x.segment JOIN ring r ON r.id = s.ring JOIN boot b ON b.id = r.boot
	JOIN process p ON p.id = r.process LEFT JOIN provider v ON v.id = x.provider
	GROUP BY r.id, x.number, x.begin_ns;

-- Sort by boot_seq, order_ns: that is the time line, and there is an index behind it (boot_ref, order_ns).
CREATE VIEW events AS SELECT
	b.seq AS boot_seq, lower(hex(b.boot_id)) AS boot, e.time_ns, e.real_ns,
	strftime('%Y-%m-%dT%H:%M:%S', e.real_ns / 1000000000, 'unixepoch')
		|| printf('.%06dZ', e.real_ns / 1000 % 1000000) AS wall,
	d.level, l.name AS level_name, v.name AS provider, d.name AS event, p.pid, e.tid, p.comm, n.text AS thread,
	p.ppid, p.uid, p.gid, p.start_time_ns, p.cgroup, e.cpu, e.session, e.ring, e.lane, e.seq, d.keywords, e.payload,
	e.time AS order_ns, e.boot AS boot_ref, e.event_id, e.descriptor
	FROM resolved e JOIN boot b ON b.id = e.boot JOIN descriptor d ON d.id = e.descriptor
	JOIN provider v ON v.id = d.provider JOIN process p ON p.id = e.process
	LEFT JOIN name n ON n.id = e.thread LEFT JOIN level l ON l.id = d.level;

-- What is missing: a run of numbers of a lane (first_seq, count), or a count without a place.
-- Where ring = boot: what rings of that boot lost of which nothing is left.
CREATE VIEW losses AS SELECT
	b.seq AS boot_seq, lower(hex(x.boot_id)) AS boot, lower(hex(x.ring_id)) AS ring, p.pid, p.comm, x.lane, c.name AS cause,
	x.first AS first_seq, x.count
	FROM loss x JOIN cause c ON c.id = x.cause LEFT JOIN ring r ON r.ring_id = x.ring_id
	LEFT JOIN process p ON p.id = r.process LEFT JOIN boot b ON b.boot_id = x.boot_id;

-- One row a death. last_events: the query that shows the last moments before it. recovered and the lost_ columns are those
-- of its ring, or for a kernel of all rings of its boot.
CREATE VIEW incidents AS SELECT
	i.id, CASE WHEN i.kernel THEN 'kernel' ELSE 'process' END AS kind, b.seq AS boot_seq, lower(hex(b.boot_id)) AS boot,
	i.time AS time_ns,
	i.time + ifnull((SELECT a.real_ns - a.boot_ns FROM anchor a WHERE a.boot = i.boot AND a.boot_ns <= i.time
			ORDER BY a.boot_ns DESC LIMIT 1),
		(SELECT a.real_ns - a.boot_ns FROM anchor a WHERE a.boot = i.boot ORDER BY a.boot_ns LIMIT 1)) AS real_ns,
	p.pid, p.comm, p.exe, p.start_time_ns, i.cause, i.evidence, lower(hex(r.ring_id)) AS ring,
	'SELECT * FROM events WHERE boot_ref = ' || i.boot || ' AND order_ns BETWEEN ' || (i.time - 30000000000) || ' AND '
		|| (i.time + 1000000000) || ' ORDER BY order_ns, event_id' AS last_events,
	CASE WHEN i.kernel THEN (SELECT sum(x.events) FROM ring x WHERE x.boot = i.boot) ELSE r.events END AS recovered,
	(SELECT ifnull(sum(count), 0) FROM loss x WHERE x.cause = 0 AND (x.ring_id = r.ring_id
		OR i.kernel AND x.boot_id = b.boot_id)) AS lost_overwritten,
	(SELECT ifnull(sum(count), 0) FROM loss x WHERE x.cause = 1 AND (x.ring_id = r.ring_id
		OR i.kernel AND x.boot_id = b.boot_id)) AS lost_torn,
	(SELECT ifnull(sum(count), 0) FROM loss x WHERE x.cause = 2 AND (x.ring_id = r.ring_id
		OR i.kernel AND x.boot_id = b.boot_id)) AS lost_damaged,
	(SELECT ifnull(sum(count), 0) FROM loss x WHERE x.cause > 2 AND (x.ring_id = r.ring_id
		OR i.kernel AND x.boot_id = b.boot_id)) AS lost_other
	FROM incident i JOIN boot b ON b.id = i.boot LEFT JOIN process p ON p.id = i.process LEFT JOIN ring r ON r.id = i.ring;

CREATE VIEW segments AS SELECT
	s.name, lower(hex(r.ring_id)) AS ring, s.part, s.reason, s.size, s.records, s.first_ns, s.last_ns, s.salvaged_real_ns,
	s.source, s.error
	FROM segment s LEFT JOIN ring r ON r.id = s.ring;

PRAGMA user_version = 2;
