/* SPDX-License-Identifier: MIT */
/*
 * replay.c - runs a fuzz target over files, without a fuzzer: those named, else tests/fuzz/corpus/NAME of the program fuzz_NAME.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static unsigned files;

static int replay(const char *path)
{
	struct stat st;
	uint8_t *bytes;
	FILE *file;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	if (S_ISDIR(st.st_mode)) {
		DIR *dir = opendir(path);
		struct dirent *entry;
		char below[4096];
		int failed = 0;

		while (dir && (entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
			failed |= replay(below);
		}
		if (dir)
			closedir(dir);
		return failed;
	}
	bytes = malloc(st.st_size ? (size_t)st.st_size : 1); /* exactly its size: a sanitizer sees a read beyond */
	file = fopen(path, "r");
	if (!bytes || !file || fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	fclose(file);
	fprintf(stderr, "%s\n", path); /* shown when it fails: the last one is the culprit */
	LLVMFuzzerTestOneInput(bytes, (size_t)st.st_size);
	free(bytes);
	files++;
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "fuzz_");
	char corpus[256];
	int failed = 0;

	while (name && strstr(name + 1, "fuzz_"))
		name = strstr(name + 1, "fuzz_");
	snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%s", name ? name + 5 : "");
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	if (argc == 1)
		failed = replay(corpus);
	printf("%u files\n", files);
	return failed || !files;
}
