#include "record/sidenote.h"

#include <string.h>
#include <sys/mman.h>

struct trailer {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
};

struct raw_mmap2 {
	uint32_t pid, tid;
	uint64_t start, size_bytes, offset;
	union {
		struct {
			uint32_t dev_major, dev_minor;
			uint64_t inode, generation;
		} file;
		struct {
			uint8_t bytes, reserved[3];
			uint8_t id[NOTE_BUILD_ID_BYTES];
		} build_id;
	};
	uint32_t prot, flags;
	char path[];
};

struct raw_comm {
	uint32_t pid, tid;
	char name[];
};

struct raw_task {
	uint32_t pid, parent_pid, tid, parent_tid;
	uint64_t time_ns;
};

struct raw_ksymbol {
	uint64_t start;
	uint32_t size_bytes;
	uint16_t type, flags;
	char name[];
};

struct raw_cgroup {
	uint64_t id;
	char path[];
};

struct raw_lost {
	uint64_t id, lost;
};

/* The part between header and trailer, if it is at least that long. */
static const void *body_of(const struct perf_event_header *record, size_t least_bytes,
			   size_t *body_bytes)
{
	if (record->size < sizeof(*record) + sizeof(struct trailer) + least_bytes)
		return NULL;
	*body_bytes = record->size - sizeof(*record) - sizeof(struct trailer);
	return record + 1;
}

/* A text that ends within the body, or NULL. */
static const char *text_of(const void *body, size_t body_bytes, size_t at)
{
	const char *text = (const char *)body + at;

	return memchr(text, '\0', body_bytes - at) ? text : NULL;
}

/*
 * At the end, where the kernel counts right: to the size of a kernel symbol it adds that of
 * a trailer for each listener it has told before this one, and writes nothing there.  Its
 * trailer follows the name, which is padded.
 */
static size_t trailer_at(const struct perf_event_header *record)
{
	const size_t name_at = sizeof(*record) + sizeof(struct raw_ksymbol);
	size_t at = record->size - sizeof(struct trailer), padded;
	const char *end;

	if (record->type != PERF_RECORD_KSYMBOL || at <= name_at)
		return at;
	end = memchr((const char *)record + name_at, '\0', at - name_at);
	if (!end)
		return at;
	padded = ((size_t)(end - (const char *)record) + 8) & ~(size_t)7;
	return padded < at ? padded : at;
}

static struct trailer trailer_of(const struct perf_event_header *record)
{
	struct trailer t = { 0 };

	if (record->size >= sizeof(*record) + sizeof(t))
		memcpy(&t, (const uint8_t *)record + trailer_at(record), sizeof(t));
	return t;
}

uint64_t sidenote_time(const struct perf_event_header *record)
{
	return trailer_of(record).time_ns;
}

uint64_t sidenote_lost(const struct perf_event_header *record)
{
	size_t bytes;
	const struct raw_lost *raw = body_of(record, sizeof(*raw), &bytes);

	return raw ? raw->lost : 0;
}

static bool parse_mmap(struct note *n, const struct perf_event_header *record)
{
	size_t bytes;
	const struct raw_mmap2 *raw = body_of(record, sizeof(*raw), &bytes);

	if (!raw || !(raw->prot & PROT_EXEC))
		return false;
	n->kind = NOTE_MMAP;
	n->pid = raw->pid;
	n->tid = raw->tid;
	n->mmap.start = raw->start;
	n->mmap.size_bytes = raw->size_bytes;
	n->mmap.offset = raw->offset;
	n->mmap.prot = raw->prot;
	if (record->misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
		n->mmap.build_id_bytes = raw->build_id.bytes;
		if (n->mmap.build_id_bytes > NOTE_BUILD_ID_BYTES)
			n->mmap.build_id_bytes = NOTE_BUILD_ID_BYTES;
		memcpy(n->mmap.build_id, raw->build_id.id, n->mmap.build_id_bytes);
	} else {
		n->mmap.dev_major = raw->file.dev_major;
		n->mmap.dev_minor = raw->file.dev_minor;
		n->mmap.inode = raw->file.inode;
	}
	n->text = text_of(raw, bytes, sizeof(*raw));
	return n->text;
}

static bool parse_comm(struct note *n, const struct perf_event_header *record)
{
	size_t bytes;
	const struct raw_comm *raw = body_of(record, sizeof(*raw), &bytes);

	if (!raw)
		return false;
	n->kind = NOTE_COMM;
	n->pid = raw->pid;
	n->tid = raw->tid;
	n->comm.exec = record->misc & PERF_RECORD_MISC_COMM_EXEC;
	n->text = text_of(raw, bytes, sizeof(*raw));
	return n->text;
}

static bool parse_task(struct note *n, const struct perf_event_header *record,
		       enum note_kind kind)
{
	size_t bytes;
	const struct raw_task *raw = body_of(record, sizeof(*raw), &bytes);

	if (!raw)
		return false;
	n->kind = kind;
	n->pid = raw->pid;
	n->tid = raw->tid;
	n->fork.parent_pid = raw->parent_pid;
	n->fork.parent_tid = raw->parent_tid;
	return true;
}

static bool parse_ksymbol(struct note *n, const struct perf_event_header *record)
{
	size_t bytes;
	const struct raw_ksymbol *raw = body_of(record, sizeof(*raw), &bytes);

	if (!raw)
		return false;
	n->kind = NOTE_KSYMBOL;
	n->ksymbol.start = raw->start;
	n->ksymbol.size_bytes = raw->size_bytes;
	n->ksymbol.gone = raw->flags & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER;
	n->ksymbol.bpf = raw->type == PERF_RECORD_KSYMBOL_TYPE_BPF;
	n->text = text_of(raw, bytes, sizeof(*raw));
	return n->text;
}

static bool parse_cgroup(struct note *n, const struct perf_event_header *record)
{
	size_t bytes;
	const struct raw_cgroup *raw = body_of(record, sizeof(*raw), &bytes);

	if (!raw)
		return false;
	n->kind = NOTE_CGROUP;
	n->cgroup.id = raw->id;
	n->text = text_of(raw, bytes, sizeof(*raw));
	return n->text;
}

bool sidenote_parse(struct note *n, const struct perf_event_header *record)
{
	struct trailer t = trailer_of(record);

	*n = (struct note){
		.time_ns = t.time_ns, .cpu = t.cpu, .pid = t.pid, .tid = t.tid, .text = "",
	};
	switch (record->type) {
	case PERF_RECORD_MMAP2:
		return parse_mmap(n, record);
	case PERF_RECORD_COMM:
		return parse_comm(n, record);
	case PERF_RECORD_FORK:
		return parse_task(n, record, NOTE_FORK);
	case PERF_RECORD_EXIT:
		return parse_task(n, record, NOTE_EXIT);
	case PERF_RECORD_KSYMBOL:
		return parse_ksymbol(n, record);
	case PERF_RECORD_CGROUP:
		return parse_cgroup(n, record);
	default:
		return false;
	}
}
