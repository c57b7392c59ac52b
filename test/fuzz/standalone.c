/*
 * standalone.c
 *	  What runs a fuzzer where libFuzzer is missing: every seed as it is, then
 *	  seeds with a few bytes changed, cut or doubled, until the time is over.
 *	  Takes libFuzzer's options that test/fuzz/run gives.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SEEDS	4096
#define MAX_INPUT	65536

/* of the sanitizers' runtime */
extern void __sanitizer_set_death_callback(void (*callback) (void));
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct
{
	uint8_t    *data;
	size_t		size;
}			seeds[MAX_SEEDS];
static int	nseeds;
static const uint8_t *current;
static size_t current_size;
static const char *artifacts = "";
static uint64_t state = 88172645463325252u;

static uint32_t
number(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 16) % below;
}

static void
read_seeds(const char *directory)
{
	DIR		   *dir = opendir(directory);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL && nseeds < MAX_SEEDS)
	{
		char		path[4096];
		FILE	   *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		file = fopen(path, "rb");
		if (file == NULL)
			continue;
		seeds[nseeds].data = malloc(MAX_INPUT);
		seeds[nseeds].size = fread(seeds[nseeds].data, 1, MAX_INPUT, file);
		nseeds++;
		fclose(file);
	}
	if (dir != NULL)
		closedir(dir);
}

/* Keep the input that failed. */
static void
keep(void)
{
	char		path[4096];
	FILE	   *file;

	snprintf(path, sizeof(path), "%scrash", artifacts);
	file = fopen(path, "wb");
	if (file != NULL)
	{
		fwrite(current, 1, current_size, file);
		fclose(file);
		fprintf(stderr, "Test unit written to %s\n", path);
	}
}

/* A copy of the exact size, so that a read behind it is seen. */
static void
try(const uint8_t *data, size_t size)
{
	uint8_t    *copy = malloc(size == 0 ? 1 : size);

	memcpy(copy, data, size);
	current = copy;
	current_size = size;
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static size_t
change(uint8_t *data, size_t size)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '}', '[', ']', ',', ' '};

	for (uint32_t n = 1 + number(4); n > 0 && size > 0; n--)
	{
		size_t		at = number(size);
		size_t		length = 1 + number(size - at < 64 ? size - at : 64);

		switch (number(5))
		{
			case 0:
				data[at] = number(256);
				break;
			case 1:
				data[at] = values[number(sizeof(values))];
				break;
			case 2:
				data[at] ^= 1 << number(8);
				break;
			case 3:
				memmove(data + at, data + at + length, size - at - length);
				size -= length;
				break;
			case 4:
				if (size + length > MAX_INPUT)
					break;
				memmove(data + at + length, data + at, size - at);
				size += length;
				break;
		}
	}
	return size;
}

int
main(int argc, char **argv)
{
	static uint8_t input[MAX_INPUT];
	time_t		end = time(NULL);
	long		tried = 0;

	for (int i = 1; i < argc; i++)
	{
		if (strncmp(argv[i], "-max_total_time=", 16) == 0)
			end += atoi(argv[i] + 16);
		else if (strncmp(argv[i], "-artifact_prefix=", 17) == 0)
			artifacts = argv[i] + 17;
		else if (argv[i][0] != '-')
			read_seeds(argv[i]);
	}
	__sanitizer_set_death_callback(keep);
	for (int i = 0; i < nseeds; i++, tried++)
		try(seeds[i].data, seeds[i].size);
	while (nseeds > 0 && time(NULL) < end)
	{
		int			i = number(nseeds);

		memcpy(input, seeds[i].data, seeds[i].size);
		try(input, change(input, seeds[i].size));
		tried++;
	}
	printf("stat::number_of_executed_units: %ld\n", tried);
	return tried == 0;
}
