#include "record/probeprog.h"

#include "record/probeprog_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/spanprog.h"
#include "record/tally.h"

#define PROGRAM_STACK_BYTES 512
#define LOG_BYTES (4u << 20)

int16_t probeprog_stack(struct probeprog_builder *b, unsigned int size_bytes)
{
	int top = b->stack_top - (int)((size_bytes + 7) & ~7u);

	if (top < -PROGRAM_STACK_BYTES) {
		if (!b->code.err)
			b->code.err = -E2BIG;
		return -8;
	}
	b->stack_top = (int16_t)top;
	return b->stack_top;
}

static size_t round_up_8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

size_t probeprog_max_bytes(const struct probe *p)
{
	size_t bytes = sizeof(struct probe_record) + round_up_8(p->fixed_bytes) +
		       probeprog_fields_pieces_bytes(p);

	return p->span ? bytes + probeprog_fields_pieces_bytes(p->span->start) : bytes;
}

size_t probeprog_start_bytes(const struct probe_span *span)
{
	/* As a record, with the place of the duration. */
	size_t bytes = sizeof(struct probe_record) + sizeof(uint64_t) + span->image_bytes +
		       probeprog_fields_pieces_bytes(span->start);

	/* Where a text ends, zeros are written ahead. */
	return probeprog_fields_vary(span->start) ? bytes + 8 : bytes;
}

/* --- building ------------------------------------------------------------------------------ */

/* Whether it decides faster than a map tells who is to be recorded. */
static bool filter_is_cheap(const struct probeprog_builder *b)
{
	size_t nr_vars = b->probe->filter ? expr_nr_vars(b->probe->filter) : 0;

	for (size_t var = 0; var < nr_vars; var++) {
		const struct probe_value *v = &b->variant->filter_values[var];

		if (v->result != RESULT_NUMBER)
			return false;
		for (uint32_t i = 0; i < v->nr_steps; i++)
			if (v->steps[i].op == FETCH_KERNEL || v->steps[i].op == FETCH_USER)
				return false;
	}
	return true;
}

int probeprog_filter(struct probeprog_builder *b, struct diag *d)
{
	int16_t top = b->stack_top;
	int err = b->probe->filter ? probefilter_emit(b, d) : 0;

	/* Its room on the stack is free again. */
	b->stack_top = top;
	return err;
}

int probeprog_choose(struct probeprog_builder *b, struct diag *d)
{
	bool filter_first = filter_is_cheap(b);
	int err = filter_first ? probeprog_filter(b, d) : 0;

	probeprog_target_require(b);
	return filter_first ? err : probeprog_filter(b, d);
}

static int build_record(struct probeprog_builder *b, struct diag *d)
{
	struct probeprog_sink sink = {
		.varies = probeprog_fields_vary(b->probe),
		.fixed_bytes = (uint32_t)(sizeof(struct probe_record) +
					  round_up_8(b->probe->fixed_bytes)),
		.max_bytes = (uint32_t)probeprog_max_bytes(b->probe),
	};
	int err = probeprog_choose(b, d);

	if (err)
		return err;
	if (b->tally) {
		tallyprog_emit(b);
		return 0;
	}
	probeprog_sink_reserve(b, &sink);
	probeprog_fields_emit(b, &sink);
	probeprog_sink_commit(b, &sink);
	bpfcode_jump(&b->code, b->skip);
	bpfcode_here(&b->code, b->lost);
	probeprog_sink_count_lost(b);
	return 0;
}

/* span: of a start; of an end it is the probe's own. */
static int build(struct probeprog_builder *b, const struct probe_span *span, struct diag *d)
{
	struct bpfcode *c = &b->code;
	int end, err;

	b->skip = end = bpfcode_label(c);
	b->lost = bpfcode_label(c);
	b->slot = probeprog_stack(b, 8);
	bpfcode_map_value(c, BPF_REG_2, b->env->maps.control_fd, 0);
	bpfcode_load(c, 4, BPF_REG_2, BPF_REG_2, 0);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_2, 0, b->skip);
	bpfcode_op(c, BPF_MOV, BPF_REG_6, BPF_REG_1);
	probeprog_target_identify(b);
	if (span)
		err = spanprog_start(b, span, d);
	else
		err = b->probe->span ? spanprog_end(b, d) : build_record(b, d);
	if (err)
		return err;
	bpfcode_here(c, end);
	/*
	 * Where perf shares the event, 0 takes it away from everybody else.  Elsewhere the
	 * result means nothing, or has to be 0.
	 */
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, b->variant->prog_type == BPF_PROG_TYPE_TRACEPOINT);
	bpfcode_exit(c);
	return bpfcode_finish(c);
}

/* --- loading ------------------------------------------------------------------------------ */

static int load(const struct probe_variant *v, const struct bpfcode *c, char *log)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		.expected_attach_type = v->expected_attach_type,
		.attach_btf_id = v->attach_btf_id,
		.attach_btf_obj_fd = (uint32_t)v->attach_btf_fd,
		.prog_flags = v->sleepable ? BPF_F_SLEEPABLE : 0,
		.log_buf = log, .log_size = log ? LOG_BYTES : 0, .log_level = log ? 1 : 0,
	);
	int fd = bpf_prog_load((enum bpf_prog_type)v->prog_type, "kymo_probe", "GPL", c->insns,
			       c->nr, &opts);

	return fd < 0 ? -errno : fd;
}

/* The last line that is not statistics. */
static const char *last_words(char *log)
{
	char *end = log + strlen(log), *line;

	for (;;) {
		while (end > log && end[-1] == '\n')
			*--end = '\0';
		line = strrchr(log, '\n');
		line = line ? line + 1 : log;
		if (line == log || (strncmp(line, "processed ", 10) != 0 &&
				    strncmp(line, "verification time", 17) != 0 &&
				    strncmp(line, "stack depth", 11) != 0))
			return line;
		end = line;
		*end = '\0';
	}
}

/* A program is refused: once more, to hear why. */
static int say_refusal(const struct probeprog_builder *b, const char *name, int err,
		       struct diag *d)
{
	bool is_refused = err != -EMFILE && err != -ENFILE && err != -ENOMEM;
	char *log = d && is_refused ? calloc(1, LOG_BYTES) : NULL;
	int fd;

	if (log) {
		fd = load(b->variant, &b->code, log);
		if (fd >= 0) {
			free(log);
			return fd;
		}
	}
	if (err == -EMFILE)
		diag_set(d, err, "cannot load the program of probe '%s': too many open files (see: "
			 "ulimit -n)", name);
	else if (log && *log)
		diag_set(d, err, "cannot load the program of probe '%s': %s (the kernel says: %.200s)",
			 name, strerror(-err), last_words(log));
	else if (err == -EPERM)
		diag_set(d, err, "cannot load the program of probe '%s': %s (run as root, or with "
			 "CAP_BPF and CAP_PERFMON)", name, strerror(-err));
	else
		diag_set(d, err, "cannot load the program of probe '%s': %s%s", name,
			 strerror(-err), err == -EMFILE ? " (see: ulimit -n)" : "");
	free(log);
	return err;
}

static int build_and_load(struct probeprog_builder *b, const struct probe *p,
			  const struct probe_span *span, struct diag *d)
{
	int fd;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return diag_set(d, -EOPNOTSUPP, "probes are for little-endian machines only");
	bpfcode_init(&b->code);
	fd = build(b, span, d);
	if (fd) {
		diag_set(d, fd, fd == -E2BIG ?
			 "probe '%s' is too large for a BPF program: ask for fewer fields or a "
			 "shorter filter" : "cannot build the program of probe '%s'", p->name);
	} else {
		fd = load(b->variant, &b->code, NULL);
		if (fd < 0)
			fd = say_refusal(b, p->name, fd, d);
	}
	bpfcode_release(&b->code);
	return fd;
}

int probeprog_load(const struct probe *p, struct probe_variant *v, uint32_t index,
		   const struct probeprog_env *env, struct diag *d)
{
	struct probeprog_builder b = {
		.probe = p, .variant = v, .tally = p->tally, .env = env, .index = index,
	};
	int fd = build_and_load(&b, p, NULL, d);

	if (fd < 0)
		return fd;
	v->prog_fd = fd;
	return 0;
}

int probeprog_load_start(const struct probe *p, struct probe_variant *v, uint32_t index,
			 const struct probeprog_env *env, struct diag *d)
{
	struct probeprog_builder b = {
		.probe = p->span->start, .variant = v, .tally = p->tally, .env = env,
		.index = index,
	};
	int fd = build_and_load(&b, p, p->span, d);

	if (fd < 0)
		return fd;
	v->prog_fd = fd;
	return 0;
}

uint64_t probeprog_missed(const struct probe_variant *v)
{
	struct bpf_prog_info info = { 0 };
	uint32_t bytes = sizeof(info);

	if (v->prog_fd < 0 || bpf_obj_get_info_by_fd(v->prog_fd, &info, &bytes) < 0)
		return 0;
	return info.recursion_misses;
}
