#include "report/stacknotes.h"

#include "report/number.h"

#include <stdio.h>
#include <string.h>

static void put_idle(const struct stacksum_left_out *l, char *to)
{
	bool is_count = strcmp(l->unit, "samples") == 0;
	char number[NUMBER_BYTES];

	if (is_count)
		snprintf(to, STACKNOTES_BYTES, "%s wait%s for work hidden (--idle shows %s)",
			 number_grouped(number, l->idle_records), l->idle_records == 1 ? "" : "s",
			 l->idle_records == 1 ? "it" : "them");
	else
		snprintf(to, STACKNOTES_BYTES, "%s of waiting for work hidden (--idle shows it)",
			 number_unit(number, l->idle, l->unit));
}

const char *stacknotes_put(const struct stacksum_left_out *left_out, enum stacknotes_kind kind,
			   char to[STACKNOTES_BYTES])
{
	char number[NUMBER_BYTES];

	*to = '\0';
	if (kind == STACKNOTES_IDLE && left_out->idle_records)
		put_idle(left_out, to);
	else if (kind == STACKNOTES_OVERFLOW && left_out->overflow)
		snprintf(to, STACKNOTES_BYTES, "%s record%s left out or cut: the sum is larger than "
			 "64 bits", number_grouped(number, left_out->overflow),
			 left_out->overflow == 1 ? "" : "s");
	else if (kind == STACKNOTES_NO_ROOM && left_out->no_room)
		snprintf(to, STACKNOTES_BYTES, "%s wait%s cut short: there are too many different "
			 "chains of wakeups", number_grouped(number, left_out->no_room),
			 left_out->no_room == 1 ? "" : "s");
	else if (kind == STACKNOTES_ENDED && left_out->ended)
		snprintf(to, STACKNOTES_BYTES, "%s chain%s at a waker whose own waits before "
			 "are not known", number_grouped(number, left_out->ended),
			 left_out->ended == 1 ? " ends" : "s end");
	return to;
}
