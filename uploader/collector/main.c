/* SPDX-License-Identifier: MIT */
/*
 * main.c - flightrec-collector: receives batches by the protocol of schemas/WIRE.md and keeps them in SQLite.
 *
 *	flightrec-collector --listen 127.0.0.1:8080 --db fleet.db
 *	flightrec-collector --db fleet.db --stats
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uploader/collector/server.h"

static const char help[] =
	"Usage: flightrec-collector --db FILE --listen ADDRESS:PORT [OPTION...]\n"
	"       flightrec-collector --db FILE --stats\n"
	"\n"
	"Receives what `flightrec upload` sends, checks it, and keeps it in an SQLite database (view `event`).\n"
	"\n"
	"Options:\n"
	"      --listen ADDRESS:PORT  port 0: any that is free; other than loopback needs --cert and --key\n"
	"      --db FILE              database, made when it is not there\n"
	"      --token-file FILE      only who knows this token may send\n"
	"      --cert FILE            certificate and its chain, PEM\n"
	"      --key FILE             its key, PEM\n"
	"      --max-body BYTES       larger bodies are answered 413 (default 16777216)\n"
	"      --port-file FILE       where the port is written once it is served\n"
	"      --stats                print what the database holds as one JSON object, and end\n"
	"      --version\n"
	"\n"
	"Examples:\n"
	"  flightrec-collector --listen 127.0.0.1:8080 --db fleet.db\n"
	"  flightrec-collector --listen 0.0.0.0:443 --cert fleet.pem --key fleet.key --token-file token --db fleet.db\n"
	"  sqlite3 fleet.db \"select machine, name, count(*) from event group by 1, 2\"\n"
	"\n"
	"Exit codes: 0 good, 1 failed, 2 wrong usage.\n";

struct arguments {
	const char *listen, *db, *token_file, *cert, *key, *port_file;
	uint64_t body_max;
	bool stats;
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "flightrec-collector: %s: %s\n", what, why);
	return 1;
}

static void free_text(char **text)
{
	free(*text);
}

/* A small file as text, NULL with a complaint. */
static char *read_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text = NULL;
	ssize_t used = -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size < 1 << 20) {
		text = malloc((size_t)st.st_size + 1);
		used = text ? read(fd, text, (size_t)st.st_size) : -1;
	}
	if (used < 0) {
		fail(path, errno ? strerror(errno) : "too large");
		free(text);
		text = NULL;
	} else {
		text[used] = '\0';
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static int write_port(const char *path, uint16_t port)
{
	char tmp[4096];
	FILE *file;

	if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", path) >= sizeof tmp)
		return fail(path, "the name is too long");
	file = fopen(tmp, "we");
	if (!file)
		return fail(tmp, strerror(errno));
	fprintf(file, "%u\n", port);
	if (fclose(file) != 0 || rename(tmp, path) < 0)
		return fail(path, strerror(errno));
	return 0;
}

static int print_stats(struct fr_store *store)
{
	struct fr_store_stats stats;

	if (fr_store_stats(store, &stats) < 0)
		return fail("--stats", fr_store_error(store));
	printf("{\"machines\":%" PRId64 ",\"batches\":%" PRId64 ",\"deliveries\":%" PRId64 ",\"events\":%" PRId64 ",\"unique\":%" PRId64
	       ",\"bytes\":%" PRId64 "}\n",
	       stats.machines, stats.batches, stats.deliveries, stats.events, stats.unique, stats.bytes);
	return 0;
}

static int wait_for_the_end(void)
{
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return sigwait(&set, &number);
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL); /* before the server's thread is made, which inherits it */
	signal(SIGPIPE, SIG_IGN);
}

static int serve(const struct arguments *arguments, struct fr_store *store)
{
	__attribute__((cleanup(free_text))) char *token = NULL, *cert = NULL, *key = NULL;
	struct fr_server_options options = { .address = arguments->listen, .body_max = arguments->body_max };
	struct fr_server *server;
	char why[512] = "out of memory";
	int r = 0;

	if (arguments->token_file) {
		token = read_text(arguments->token_file);
		if (!token)
			return 1;
		token[strcspn(token, "\r\n")] = '\0';
		if (!*token)
			return fail(arguments->token_file, "is empty");
	}
	if (arguments->cert) {
		cert = read_text(arguments->cert);
		key = read_text(arguments->key);
		if (!cert || !key)
			return 1;
	}
	options.token = token;
	options.cert = cert;
	options.key = key;
	block_signals();
	if (fr_server_start(&options, store, &server, why, sizeof why) < 0)
		return fail("can't start", why);
	fprintf(stderr, "flightrec-collector: serving http%s on port %u\n", cert ? "s" : "", fr_server_port(server));
	if (arguments->port_file)
		r = write_port(arguments->port_file, fr_server_port(server));
	if (r == 0)
		wait_for_the_end();
	fr_server_stop(server);
	return r;
}

static int usage(const char *why)
{
	fprintf(stderr, "flightrec-collector: %s\nSee `flightrec-collector --help`.\n", why);
	return 2;
}

/* -1: go on; else the exit code. */
static int parse(struct arguments *arguments, int argc, char **argv)
{
	enum { LISTEN = 256, DB, TOKEN_FILE, CERT, KEY, MAX_BODY, PORT_FILE, STATS, HELP, VERSION };
	static const struct option options[] = {
		{ "listen", required_argument, NULL, LISTEN }, { "db", required_argument, NULL, DB },
		{ "token-file", required_argument, NULL, TOKEN_FILE }, { "cert", required_argument, NULL, CERT },
		{ "key", required_argument, NULL, KEY }, { "max-body", required_argument, NULL, MAX_BODY },
		{ "port-file", required_argument, NULL, PORT_FILE }, { "stats", no_argument, NULL, STATS },
		{ "help", no_argument, NULL, HELP }, { "version", no_argument, NULL, VERSION }, { 0 },
	};
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case LISTEN: arguments->listen = optarg; break;
		case DB: arguments->db = optarg; break;
		case TOKEN_FILE: arguments->token_file = optarg; break;
		case CERT: arguments->cert = optarg; break;
		case KEY: arguments->key = optarg; break;
		case PORT_FILE: arguments->port_file = optarg; break;
		case STATS: arguments->stats = true; break;
		case MAX_BODY:
			arguments->body_max = strtoull(optarg, &end, 10);
			if (*end || !arguments->body_max || arguments->body_max > 1u << 30)
				return usage("--max-body: want bytes, at most 1073741824");
			break;
		case 'h':
		case HELP:
			fputs(help, stdout);
			return 0;
		case VERSION:
			puts("flightrec-collector " FR_VERSION);
			return 0;
		default:
			return usage("wrong option");
		}
	}
	if (optind < argc)
		return usage("it takes no arguments");
	if (!arguments->db || !arguments->stats == !arguments->listen)
		return usage("want --db, and either --listen or --stats");
	if (!arguments->cert != !arguments->key)
		return usage("--cert and --key belong together");
	return -1;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct fr_store *store = NULL;
	int result = parse(&arguments, argc, argv), r;

	if (result >= 0)
		return result;
	r = fr_store_open(arguments.db, &store);
	if (r < 0)
		result = fail(arguments.db, r == -EPROTONOSUPPORT ? "written by a newer collector" :
			      store ? fr_store_error(store) : "out of memory");
	else
		result = arguments.stats ? print_stats(store) : serve(&arguments, store);
	fr_store_close(store);
	return result;
}
