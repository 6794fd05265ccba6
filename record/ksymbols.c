#include "record/ksymbols.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/bpfcode.h"
#include "record/proberings_private.h"

#define NAME_BYTES 64
/* A name of 511, offset and size, a module of 63 and what is in between. */
#define TEXT_BYTES 768

/* Shared with the programs. */
struct question {
	uint64_t address;
	char name[NAME_BYTES];
	char text[TEXT_BYTES];
};

struct ksymbols {
	int find_fd, address_fd;	/* programs; address_fd is -1 until it is needed */
	int question_fd, format_fd;	/* maps */
	struct question *question;
};

/* --- programs ------------------------------------------------------------------------ */

/* The kernel believes a format only in memory that nobody can change any more. */
static int make_format(struct ksymbols *k)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_RDONLY_PROG);
	const char format[8] = "%pS";
	uint32_t zero = 0;

	k->format_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kymo_format", sizeof(zero),
				      sizeof(format), 1, &opts);
	if (k->format_fd < 0 || bpf_map_update_elem(k->format_fd, &zero, format, BPF_ANY) < 0 ||
	    bpf_map_freeze(k->format_fd) < 0)
		return -errno;
	return 0;
}

static int load(struct bpfcode *c, const char *name)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);
	int fd = -1, err = bpfcode_finish(c);

	if (!err) {
		fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, name, "GPL", c->insns, c->nr, &opts);
		err = fd < 0 ? -errno : 0;
	}
	bpfcode_release(c);
	return err ? err : fd;
}

/* text = snprintf("%pS", address), 0 */
static int load_find(struct ksymbols *k)
{
	struct bpfcode c;

	bpfcode_init(&c);
	bpfcode_map_value(&c, BPF_REG_1, k->question_fd, offsetof(struct question, text));
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_2, TEXT_BYTES);
	bpfcode_map_value(&c, BPF_REG_3, k->format_fd, 0);
	bpfcode_map_value(&c, BPF_REG_4, k->question_fd, offsetof(struct question, address));
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_5, sizeof(uint64_t));
	bpfcode_call(&c, BPF_FUNC_snprintf);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&c);
	return load(&c, "kymo_symbol");
}

/* address = that of name */
static int load_address(struct ksymbols *k)
{
	struct bpfcode c;

	bpfcode_init(&c);
	bpfcode_map_value(&c, BPF_REG_1, k->question_fd, offsetof(struct question, name));
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_2, NAME_BYTES);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_3, 0);
	bpfcode_map_value(&c, BPF_REG_4, k->question_fd, offsetof(struct question, address));
	bpfcode_call(&c, BPF_FUNC_kallsyms_lookup_name);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&c);
	return load(&c, "kymo_address");
}

static int run(int fd)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	return bpf_prog_test_run_opts(fd, &opts) < 0 ? -errno : 0;
}

/* --- answers ------------------------------------------------------------------------- */

/* "name+0x12/0x34 [module]", or the address where there is none. */
static int parse(char *text, uint64_t address, struct ksymbol *out)
{
	char *tag = strstr(text, " ["), *at = NULL, *plus = text;
	uint64_t offset, size_bytes;

	while ((plus = strstr(plus, "+0x")))
		at = plus++;
	if (!at || sscanf(at, "+0x%" SCNx64 "/0x%" SCNx64, &offset, &size_bytes) != 2 ||
	    offset > address)
		return -ENOENT;
	*at = '\0';
	*out = (struct ksymbol){
		.start = address - offset, .size_bytes = size_bytes, .name = text, .tag = "",
	};
	if (tag && tag > at) {
		out->tag = tag + 1;
		tag[1 + strcspn(tag + 1, "\n")] = '\0';
	}
	return 0;
}

int ksymbols_find(struct ksymbols *k, uint64_t address, struct ksymbol *out)
{
	int err;

	/* What lies between functions belongs to the one before. */
	do {
		k->question->address = address;
		err = run(k->find_fd);
		k->question->text[TEXT_BYTES - 1] = '\0';
		if (!err)
			err = parse(k->question->text, address, out);
		address = err ? 0 : out->start - 1;
	} while (!err && !strncmp(out->name, "__pfx_", 6));
	return err;
}

int ksymbols_address(struct ksymbols *k, const char *name, uint64_t *address)
{
	int err;

	if (k->address_fd < 0)
		k->address_fd = load_address(k);
	if (k->address_fd < 0)
		return -EOPNOTSUPP;
	if (strlen(name) >= NAME_BYTES)
		return -ENOENT;
	memset(k->question->name, 0, NAME_BYTES);
	memcpy(k->question->name, name, strlen(name));
	k->question->address = 0;
	err = run(k->address_fd);
	*address = k->question->address;
	return err ? err : *address ? 0 : -ENOENT;
}

/* --- life ---------------------------------------------------------------------------- */

int ksymbols_open(struct ksymbols **out)
{
	struct ksymbols *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->find_fd = k->address_fd = k->question_fd = k->format_fd = -1;
	err = proberings_map_array("kymo_question", sizeof(*k->question), 1, &k->question_fd,
				   (void **)&k->question);
	if (!err)
		err = make_format(k);
	if (!err) {
		k->find_fd = load_find(k);
		err = k->find_fd < 0 ? k->find_fd : 0;
	}
	if (err) {
		ksymbols_close(k);
		return err;
	}
	*out = k;
	return 0;
}

void ksymbols_close(struct ksymbols *k)
{
	if (!k)
		return;
	proberings_unmap_array(k->question, sizeof(*k->question), 1);
	for (size_t i = 0; i < 4; i++) {
		int fd = (const int[]){ k->find_fd, k->address_fd, k->question_fd,
					k->format_fd }[i];

		if (fd >= 0)
			close(fd);
	}
	free(k);
}
