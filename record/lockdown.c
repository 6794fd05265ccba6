#include "record/lockdown.h"

#include <stdio.h>
#include <string.h>

bool lockdown_is_confidential(void)
{
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char text[128] = "";
	bool is;

	is = f && fgets(text, sizeof(text), f) && strstr(text, "[confidentiality]");
	if (f)
		fclose(f);
	return is;
}
