// SPDX-License-Identifier: Apache-2.0
// Errors for people: what failed, and the tail of what libbpf and the verifier said about it.
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define KW_TAIL 4096

static _Thread_local char tail[KW_TAIL];
static _Thread_local size_t used;

// Keeps the last KW_TAIL bytes: a verifier log's verdict stands at its end.
static void remember(const char *text, size_t length)
{
	if (length >= KW_TAIL) {
		text += length - (KW_TAIL - 1);
		length = KW_TAIL - 1;
	}
	if (used + length >= KW_TAIL) {
		size_t drop = used + length - (KW_TAIL - 1);

		memmove(tail, tail + drop, used - drop);
		used -= drop;
	}
	memcpy(tail + used, text, length);
	used += length;
	tail[used] = '\0';
}

static int listen_to(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text; // a verifier log is one message, of any length
	int length;

	if (level == LIBBPF_DEBUG)
		return 0;
	length = vasprintf(&text, format, arguments);
	if (length < 0)
		return 0;
	remember(text, length);
	free(text);
	return 0;
}

void kw_listen(void)
{
	used = 0;
	tail[0] = '\0';
	libbpf_set_print(listen_to);
}

int kw_fail(char *error, size_t room, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(error, room, format, arguments);
	va_end(arguments);
	if (used && length > 0 && (size_t)length < room)
		snprintf(error + length, room - length, "\n%s", tail);
	return -1;
}
