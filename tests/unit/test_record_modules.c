/*
 * Modules of live processes: deleted and replaced binaries, other mount and
 * process namespaces, JIT maps, the vdso.
 */
#define _GNU_SOURCE
#include "record/symbolize.h"

#include "record/addrspace.h"
#include "record/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- what the recorder knows ----------------------------------------------------- */

struct fixture {
	struct modules *modules;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
	struct addrspace space;
	char folder[64];
	uint32_t pid;		/* whose maps are read */
};

static int open_all(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(modules_new(&f->modules), 0);
	assert_int_equal(kernelmap_open(&f->kernel, f->modules), 0);
	assert_int_equal(symbolizer_open(&f->symbolizer, f->modules, f->kernel), 0);
	addrspace_init(&f->space);
	strcpy(f->folder, "/tmp/test_modules-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	*state = f;
	return 0;
}

static int close_all(void **state)
{
	struct fixture *f = *state;
	char command[128];

	symbolizer_close(f->symbolizer);
	kernelmap_close(f->kernel);
	modules_free(f->modules);
	addrspace_release(&f->space);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static int add_map(void *ctx, const struct procfs_map *m)
{
	struct fixture *f = ctx;
	struct modules_file file = {
		.path = m->path, .pid = f->pid, .start = m->start,
		.size_bytes = m->end - m->start, .inode = m->inode,
		.dev_major = m->dev_major, .dev_minor = m->dev_minor,
	};
	struct module *mod = modules_file(f->modules, &file);
	struct mapping mapping = { m->start, m->end, m->offset, 0, m->prot };

	assert_non_null(mod);
	mapping.module = mod->id;
	return addrspace_map(&f->space, &mapping);
}

static void read_maps(struct fixture *f, pid_t pid)
{
	f->pid = (uint32_t)pid;
	addrspace_clear(&f->space);
	assert_int_equal(procfs_each_map(f->pid, add_map, f), 0);
}

static struct module *find_module(struct fixture *f, const char *path_end)
{
	size_t len = strlen(path_end);

	for (uint32_t id = 1; id <= modules_nr(f->modules); id++) {
		struct module *mod = modules_get(f->modules, id);

		if (strlen(mod->path) >= len &&
		    !strcmp(mod->path + strlen(mod->path) - len, path_end))
			return mod;
	}
	return NULL;
}

/* True if some address of the module has that name. */
static bool has_name(struct fixture *f, const struct module *mod, const char *name)
{
	struct symbol sym;

	for (uint64_t offset = 0; offset < 65536; offset += 4)
		if (!symbolizer_find(f->symbolizer, mod->id, offset, &sym) &&
		    !strcmp(sym.name, name))
			return true;
	return false;
}

/* --- what is recorded ---------------------------------------------------------------- */

static const char *program(const char *name)
{
	static char path[512];
	const char *build = getenv("BUILD");

	snprintf(path, sizeof(path), "%s/tests/programs/%s", build ? build : "build", name);
	return path;
}

/*
 * Runs a program, if asked to in namespaces of its own with an empty /tmp, and
 * waits for the line it prints when it is ready.  It runs until it is stopped.
 */
static pid_t start(const char *path, bool apart, char *line, size_t size_bytes)
{
	int ends[2];
	pid_t pid;
	size_t len = 0;

	assert_int_equal(pipe2(ends, 0), 0);
	if (apart && (unshare(CLONE_NEWPID) || unshare(CLONE_NEWNS) ||
		      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		      mount("none", "/tmp", "tmpfs", 0, NULL)))
		_exit(1);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl(path, path, "60", "keep", NULL);
		_exit(127);
	}
	close(ends[1]);
	while (len < size_bytes - 1 && read(ends[0], line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = '\0';
	close(ends[0]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* shares prints nothing before it ends: it is ready when it has its file mapped. */
static pid_t start_shares(const char *path)
{
	pid_t pid = fork();

	if (!pid) {
		int null_fd = open("/dev/null", O_WRONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null_fd, STDOUT_FILENO);
		execl(path, path, "60", NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	for (;;) {
		char link[64], name[512];
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
		len = readlink(link, name, sizeof(name) - 1);
		if (len > 0) {
			name[len] = '\0';
			if (!strcmp(name, path))
				break;
		}
		sched_yield();
	}
	return pid;
}

__attribute__((format(printf, 1, 2)))
static void shell(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

/* --- files --------------------------------------------------------------------------- */

static void test_deleted(void **state)
{
	struct fixture *f = *state;
	char line[256] = "";
	struct module *mod;
	pid_t pid = start(program("deleted"), false, line, sizeof(line));

	assert_int_equal(access(line, F_OK), -1);
	read_maps(f, pid);
	mod = find_module(f, line);
	assert_non_null(mod);
	assert_true(mod->deleted);
	assert_int_equal(mod->kind, MODULE_ELF);
	assert_true(mod->build_id_bytes > 0);
	modules_touch(f->modules, mod);
	/* What was touched is there when the process is not. */
	stop(pid);
	symbolizer_process_exit(f->symbolizer, (uint32_t)pid);
	assert_true(has_name(f, mod, "burn_deleted"));
}

static void test_replaced(void **state)
{
	struct fixture *f = *state;
	struct modules_file again = { 0 };
	struct module *mod, *later;
	char path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/prog", f->folder);
	shell("cp %s %s", program("shares"), path);
	pid = start_shares(path);
	shell("cp %s %s.new && mv %s.new %s", program("vdso"), path, path, path);
	read_maps(f, pid);
	mod = find_module(f, "/prog");
	assert_non_null(mod);
	assert_true(has_name(f, mod, "burn_20"));
	/* The new file of that path is another module. */
	again.path = path;
	later = modules_file(f->modules, &again);
	assert_non_null(later);
	assert_ptr_not_equal(later, mod);
	assert_false(has_name(f, later, "burn_20"));
	assert_true(has_name(f, later, "main"));
	stop(pid);
}

/* Nobody has the old file any more: no name is better than one of the new file. */
static void test_replaced_and_gone(void **state)
{
	struct fixture *f = *state;
	struct module *mod;
	struct symbol sym;
	char path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/prog", f->folder);
	shell("cp %s %s", program("shares"), path);
	pid = start_shares(path);
	read_maps(f, pid);
	shell("cp %s %s.new && mv %s.new %s", program("vdso"), path, path, path);
	stop(pid);
	mod = find_module(f, "/prog");
	assert_non_null(mod);
	for (uint64_t offset = 0; offset < 65536; offset += 16)
		assert_int_equal(symbolizer_find(f->symbolizer, mod->id, offset, &sym), -ENOENT);
	assert_int_equal(mod->fd, -1);
}

/* Once from /proc, once from a note of the kernel that has the build-id. */
static void test_identity(void **state)
{
	struct fixture *f = *state;
	struct modules_file file = { .start = 4096, .size_bytes = 4096 };
	struct module *mod, *other;
	char path[128], copy[128];
	struct stat st;
	uint8_t build_id[20];

	snprintf(path, sizeof(path), "%s/prog", f->folder);
	snprintf(copy, sizeof(copy), "%s/copy", f->folder);
	shell("cp %s %s && cp %s %s", program("shares"), path, path, copy);
	assert_int_equal(stat(path, &st), 0);
	file.path = path;
	file.inode = st.st_ino;
	mod = modules_file(f->modules, &file);
	assert_non_null(mod);
	assert_int_equal(mod->build_id_bytes, 20);
	assert_ptr_equal(modules_file(f->modules, &file), mod);
	/* The same file through another mount. */
	file.dev_major = 99;
	assert_ptr_equal(modules_file(f->modules, &file), mod);
	file = (struct modules_file){
		.path = path, .build_id = mod->build_id, .build_id_bytes = 20,
	};
	assert_ptr_equal(modules_file(f->modules, &file), mod);
	memcpy(build_id, mod->build_id, sizeof(build_id));
	build_id[3] ^= 1;
	file.build_id = build_id;
	other = modules_file(f->modules, &file);
	assert_ptr_not_equal(other, mod);
	/* Its file is not at that path. */
	assert_false(has_name(f, other, "burn_20"));
	file.path = copy;
	file.build_id = mod->build_id;
	other = modules_file(f->modules, &file);
	assert_ptr_not_equal(other, mod);
	assert_true(has_name(f, other, "burn_20"));
	assert_true(other->bias == mod->bias);
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* More files than may be kept open: all have names, few stay open. */
static void test_crowded(void **state)
{
	struct rlimit limit, low;
	struct module *mods[100];
	struct modules *modules;
	struct symbolizer *symbolizer;
	struct fixture *f = *state, few = { .kernel = f->kernel };
	size_t before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(modules_new(&modules), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(symbolizer_open(&symbolizer, modules, f->kernel), 0);
	few.modules = modules;
	few.symbolizer = symbolizer;
	before = count_fds();
	for (size_t i = 0; i < 100; i++) {
		struct modules_file file = { .start = 4096, .size_bytes = 4096 };
		char path[128];

		snprintf(path, sizeof(path), "%s/prog%zu", f->folder, i);
		shell("cp %s %s", program("shares"), path);
		file.path = path;
		mods[i] = modules_file(modules, &file);
		modules_touch(modules, mods[i]);
	}
	assert_true(count_fds() - before <= 16);
	shell("rm %s/prog*", f->folder);
	for (size_t i = 0; i < 100; i++)
		assert_true(has_name(&few, mods[i], "burn_40"));
	assert_int_equal(count_fds(), before);
	symbolizer_close(symbolizer);
	modules_free(modules);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *path;
		enum module_kind kind;
	} samples[] = {
		{ "", MODULE_JIT }, { "//anon", MODULE_JIT }, { "[heap]", MODULE_JIT },
		{ "[stack]", MODULE_JIT }, { "[anon:dart-code]", MODULE_JIT },
		{ "/dev/zero (deleted)", MODULE_JIT }, { "/SYSV00000000 (deleted)", MODULE_JIT },
		{ "/memfd:code (deleted)", MODULE_JIT }, { "[vdso]", MODULE_VDSO },
		{ "[vsyscall]", MODULE_VDSO }, { "[uprobes]", MODULE_VDSO },
		{ "/no/such/file", MODULE_ELF }, { "/etc/passwd", MODULE_ELF },
	};
	struct fixture *f = *state;
	struct module *jit = NULL;

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct modules_file file = {
			.path = samples[i].path, .pid = 1u << 30, .start = 1ull << 40,
			.size_bytes = 4096,
		};
		struct module *mod = modules_file(f->modules, &file);
		struct symbol sym;

		assert_non_null(mod);
		assert_int_equal(mod->kind, samples[i].kind);
		assert_ptr_equal(modules_file(f->modules, &file), mod);
		if (mod->kind == MODULE_JIT && jit)
			assert_ptr_equal(mod, jit);
		if (mod->kind == MODULE_JIT)
			jit = mod;
		if (strcmp(samples[i].path, "[vdso]"))
			assert_int_equal(symbolizer_find(f->symbolizer, mod->id, 100, &sym),
					 -ENOENT);
	}
	/* The number of a process comes again, with other code. */
	assert_ptr_equal(modules_anonymous(f->modules, 1u << 30), jit);
	modules_process_exit(f->modules, 1u << 30);
	assert_null(modules_anonymous(f->modules, 1u << 30));
}

static void test_vdso(void **state)
{
	struct fixture *f = *state;
	struct module *mod;
	bool found = false;

	if (!getauxval(AT_SYSINFO_EHDR))
		skip();
	read_maps(f, getpid());
	mod = find_module(f, "[vdso]");
	assert_non_null(mod);
	assert_int_equal(mod->kind, MODULE_VDSO);
	modules_touch(f->modules, mod);
	found = has_name(f, mod, "__vdso_clock_gettime") ||
		has_name(f, mod, "__kernel_clock_gettime") || has_name(f, mod, "clock_gettime");
	assert_true(found);
}

/* --- JIT maps ------------------------------------------------------------------------- */

static void check_jit(struct fixture *f, uint64_t address, const char *name)
{
	const struct mapping *m = addrspace_find(&f->space, address);
	struct symbol sym;

	assert_non_null(m);
	assert_int_equal(modules_get(f->modules, m->module)->kind, MODULE_JIT);
	if (!name) {
		assert_int_equal(symbolizer_find(f->symbolizer, m->module, address, &sym),
				 -ENOENT);
		return;
	}
	assert_int_equal(symbolizer_find(f->symbolizer, m->module, address, &sym), 0);
	assert_string_equal(sym.name, name);
}

static uint64_t jit_address(const char *line)
{
	uint64_t address = strtoull(line, NULL, 16);

	if (!address)
		skip();
	return address;
}

static void touch_jit(struct fixture *f, uint64_t address)
{
	const struct mapping *m = addrspace_find(&f->space, address);

	assert_non_null(m);
	modules_touch(f->modules, modules_get(f->modules, m->module));
}

static void test_jit(void **state)
{
	struct fixture *f = *state;
	char line[64] = "", path[64];
	pid_t pid = start(program("jit"), false, line, sizeof(line));
	uint64_t address = jit_address(line);

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)pid);
	read_maps(f, pid);
	check_jit(f, address + 2, "jit_hot");
	check_jit(f, address + 256, "jit_cool");
	check_jit(f, address + 400, NULL);
	shell("printf '%" PRIx64 " 10 jit_late\\n' >>%s", address + 400, path);
	check_jit(f, address + 400, NULL);
	symbolizer_refresh(f->symbolizer);
	check_jit(f, address + 400, "jit_late");
	shell("printf '%" PRIx64 " 10 jit_last\\n' >>%s", address + 500, path);
	stop(pid);
	symbolizer_process_exit(f->symbolizer, (uint32_t)pid);
	unlink(path);
	check_jit(f, address + 500, "jit_last");
}

/*
 * A container: the process is number 1 or so to itself, and its /tmp is gone
 * with its last process, but for what was opened in time.
 */
static void test_jit_in_namespaces(void **state)
{
	struct fixture *f = *state;
	char line[64] = "", in_host[64];
	int ends[2], status;
	uint64_t address;
	pid_t helper, pid = 0;

	if (geteuid())
		skip();
	assert_int_equal(pipe2(ends, 0), 0);
	helper = fork();
	if (!helper) {
		pid = start(program("jit"), true, line, sizeof(line));
		if (pid <= 0 || write(ends[1], &pid, sizeof(pid)) != sizeof(pid) ||
		    write(ends[1], line, sizeof(line)) != sizeof(line))
			_exit(1);
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &pid, sizeof(pid)) != sizeof(pid) ||
	    read(ends[0], line, sizeof(line)) != sizeof(line)) {
		close(ends[0]);
		waitpid(helper, NULL, 0);
		skip();
	}
	close(ends[0]);
	address = jit_address(line);
	snprintf(in_host, sizeof(in_host), "/tmp/perf-%d.map", (int)pid);
	assert_int_equal(access(in_host, F_OK), -1);
	read_maps(f, pid);
	touch_jit(f, address);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(helper, &status, 0), helper);
	symbolizer_process_exit(f->symbolizer, (uint32_t)pid);
	check_jit(f, address + 2, "jit_hot");
	check_jit(f, address + 256, "jit_cool");
}

/* What others leave in /tmp is neither believed nor waited for. */
static void test_foreign_maps(void **state)
{
	struct fixture *f = *state;
	char line[64] = "", path[64];
	pid_t pid = start(program("jit"), false, line, sizeof(line));
	uint64_t address = jit_address(line);

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)pid);
	read_maps(f, pid);
	if (!geteuid()) {
		/* root's process believes root alone */
		shell("chown 65534 %s", path);
		check_jit(f, address, NULL);
	}
	shell("cp %s %s/map && rm %s && ln -s %s/map %s", path, f->folder, path, f->folder, path);
	symbolizer_refresh(f->symbolizer);
	check_jit(f, address, NULL);
	shell("rm %s && mkfifo %s", path, path);
	symbolizer_refresh(f->symbolizer);
	check_jit(f, address, NULL);
	shell("rm %s && mkdir %s", path, path);
	symbolizer_refresh(f->symbolizer);
	check_jit(f, address, NULL);
	shell("rmdir %s && cp %s/map %s", path, f->folder, path);
	symbolizer_refresh(f->symbolizer);
	check_jit(f, address, "jit_hot");
	unlink(path);
	stop(pid);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(test_deleted),
		TEST(test_replaced),
		TEST(test_replaced_and_gone),
		TEST(test_identity),
		TEST(test_crowded),
		TEST(test_kinds),
		TEST(test_vdso),
		TEST(test_jit),
		TEST(test_jit_in_namespaces),
		TEST(test_foreign_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
