/* SPDX-License-Identifier: BSD-3-Clause */
#include <guest/cmdline.h>
#include <guest/string.h>

/* Returns what follows KEY in the line ('=' or the word's end), or NULL. */
static const char *find(const char *line, const char *key)
{
	size_t n = strlen(key);

	while (*line) {
		while (*line == ' ')
			line++;
		if (!strncmp(line, key, n) && (line[n] == 0 || line[n] == ' ' || line[n] == '='))
			return line + n;
		while (*line && *line != ' ')
			line++;
	}
	return NULL;
}

bool cmdline_has(const char *line, const char *key) { return find(line, key) != NULL; }

bool cmdline_value(const char *line, const char *key, char *out, size_t size)
{
	const char *v = find(line, key);
	size_t n = 0;

	if (!v || *v != '=')
		return false;
	for (v++; *v && *v != ' ' && n + 1 < size; v++)
		out[n++] = *v;
	out[n] = 0;
	return true;
}

unsigned long cmdline_number(const char *line, const char *key, unsigned long other)
{
	char v[24];
	const char *p = v;
	unsigned long n = 0, base = 10;

	if (!cmdline_value(line, key, v, sizeof(v)) || !*p)
		return other;
	if (p[0] == '0' && p[1] == 'x')
		p += 2, base = 16;
	for (; *p; p++) {
		unsigned long d;

		if (*p >= '0' && *p <= '9')
			d = (unsigned long)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			d = (unsigned long)(*p - 'a' + 10);
		else
			return other;
		n = n * base + d;
	}
	return n;
}
