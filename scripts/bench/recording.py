"""What recording costs, and how large its files are."""

import os
import signal
import subprocess
import threading
import time

from measure import Failed, Running, median, note, run, wait_until

RATE = 4999


def perf_record(bench, out, *options, rate=RATE):
    return [*bench.perf, "record", "-q", "-F", rate, "-a", "-g", *options, "-o", out]


def kymo_record(bench, out, *options, rate=RATE):
    return [bench.kymo, "record", "-q", "-F", rate, "-a", *options, "-o", out]


def has_begun(path):
    return os.path.exists(path) and os.path.getsize(path) > 0


def remove(path):
    for name in (path, path + ".old"):
        if os.path.exists(name):
            os.unlink(name)


def start_recorder(argv, out):
    recorder = Running(argv)
    wait_until(lambda: has_begun(out), f"{out} to appear")
    # Its first bytes come before its events are on.
    time.sleep(1.0)
    return recorder


def record_side_by_side(bench, paths):
    for path in paths.values():
        remove(path)
    # perf 6.1 cannot read its own notes of BPF programs that come or go while it
    # records: kymo starts before it and stops after it.
    recorders = [start_recorder(kymo_record(bench, paths["kymo"]), paths["kymo"]),
                 start_recorder(perf_record(bench, paths["perf"]), paths["perf"]),
                 start_recorder(perf_record(bench, paths["perf -z"], "-z"), paths["perf -z"])]
    # The sampling itself takes its share: some more than 200,000 / CPUs / rate.
    samples = 20000 if bench.quick else 240000
    run([bench.load, bench.nr_cpus, 0, samples / bench.nr_cpus / RATE + 2]).expect()
    for recorder in reversed(recorders):
        stop_recorder(recorder)


def stop_recorder(recorder):
    """Its Result.  perf ends itself by the signal it got, or crashes now and then."""
    result = recorder.interrupt()
    if recorder.argv[0] == "perf":
        if result.status not in (0, -signal.SIGINT):
            note(f"perf ended with status {result.status}")
        return result
    return result.expect()


def traces(bench):
    """One long run under kymo, perf and perf -z at once: (paths, samples)."""
    paths = {"kymo": bench.path("side.kymo"), "perf": bench.path("side.data"),
             "perf -z": bench.path("side-z.data")}
    for attempt in range(4):
        if attempt or not all(os.path.exists(p) for p in paths.values()):
            record_side_by_side(bench, paths)
        try:
            samples = {name: bench.perf_samples(paths[name]) for name in ("perf", "perf -z")}
            break
        except Failed as e:
            # Another program on this machine has loaded a BPF program meanwhile.
            if attempt == 3:
                raise
            note(f"once more: {e}")
    samples["kymo"] = sum(e["records"] for e in bench.kymo_info(paths["kymo"])["events"])
    return paths, samples


BLOCKS_PER_EVENT = ("records", "frames", "stacks")
BLOCK_HEADER_BYTES = 64


def size(bench):
    table = bench.table
    table.section(f"Size: the same run under all recorders, -F {RATE} -a -g")
    paths, samples = traces(bench)
    info = bench.kymo_info(paths["kymo"])
    per_sample = {name: os.path.getsize(path) / samples[name] for name, path in paths.items()}
    for name in paths:
        table.figure(f"{name}: whole file", per_sample[name], "B/sample",
                     f"{samples[name]} samples, {os.path.getsize(paths[name])} bytes")
    events = sum(b["bytes"] + BLOCK_HEADER_BYTES * b["blocks"] for b in info["blocks"]
                 if b["type"] in BLOCKS_PER_EVENT)
    table.bar("event blocks and stack dictionaries", events / samples["kymo"], "B/sample", 5)
    table.bar("whole file / perf.data", per_sample["kymo"] / per_sample["perf"], "", 1 / 20,
              f"1/{per_sample['perf'] / per_sample['kymo']:.1f}")
    table.bar("whole file / perf record -z", per_sample["kymo"] / per_sample["perf -z"], "",
              1 / 4, f"1/{per_sample['perf -z'] / per_sample['kymo']:.1f}")


def one_run(bench, recorder, rounds):
    """The workload's wall and CPU time under a recorder, and the recorder's CPU time."""
    out = bench.path("cost.out")
    remove(out)
    running = None
    if recorder:
        running = start_recorder(recorder(bench, out), out)
    load = subprocess.run([bench.load, str(bench.nr_cpus), str(rounds)], check=True,
                          stdout=subprocess.PIPE)
    wall, cpu = (float(x) for x in load.stdout.split())
    used = stop_recorder(running).cpu if running else 0.0
    remove(out)
    return wall, cpu, used


def cost(bench):
    table = bench.table
    repeat = 3 if bench.quick else max(5, bench.repeat)
    rounds = 300000 if bench.quick else 3000000
    table.section(f"Recording at -F {RATE} -a -g: medians of {repeat} alternating runs")
    recorders = [("bare", None), ("perf", perf_record), ("kymo", kymo_record)]
    runs = {name: [] for name, _ in recorders}
    for _, recorder in recorders:
        one_run(bench, recorder, 10000)  # fills caches of files and build-ids
    for i in range(repeat):
        # Each run starts with another one, so that drift hits all alike.
        for name, recorder in recorders[i % 3:] + recorders[:i % 3]:
            runs[name].append(one_run(bench, recorder, rounds))
    wall, cpu, used = ({name: median([r[i] for r in rs]) for name, rs in runs.items()}
                       for i in range(3))
    for name in ("perf", "kymo"):
        table.figure(f"{name}: workload, wall time / bare", wall[name] / wall["bare"])
        table.figure(f"{name}: workload, CPU time / bare", cpu[name] / cpu["bare"])
        table.figure(f"{name}: CPU time of the recorder", used[name], "s",
                     f"for {wall[name]:.1f} s of {bench.nr_cpus} busy CPUs")
    table.bar("workload's wall time, kymo / perf", wall["kymo"] / wall["perf"], "", 1)
    table.bar("workload's CPU time, kymo / perf", cpu["kymo"] / cpu["perf"], "", 1)
    table.bar("recorder's CPU time, kymo / perf", used["kymo"] / used["perf"], "", 1)


def low_rate(bench):
    """From start to exit, symbols included, and without start and end."""
    table = bench.table
    table.section("Recording at -F 99 -a -g, all CPUs busy")
    durations = (4, 8) if bench.quick else (10, 40)
    used = {}
    for recorder in ("perf", "kymo"):
        for seconds in durations:
            out = bench.path("low.out")
            remove(out)
            argv = perf_record(bench, out, rate=99) if recorder == "perf" else \
                kymo_record(bench, out, rate=99)
            running = start_recorder(argv, out)
            run([bench.load, bench.nr_cpus, 0, seconds]).expect()
            used[recorder, seconds] = stop_recorder(running).cpu
    short, long = durations
    for recorder in ("perf", "kymo"):
        share = 100 * (used[recorder, long] - used[recorder, short]) / (long - short)
        whole = f"{1000 * used[recorder, long]:.0f} ms from start to exit of {long} s"
        if recorder == "kymo":
            table.bar("kymo: share of one CPU", share, "%", 0.5, whole)
        else:
            table.figure("perf: share of one CPU", share, "%", whole)


def start(bench):
    table = bench.table
    table.section("Starting and ending: record -- true")
    out = bench.path("true.out")

    def wall_of(argv):
        run(argv).expect()
        wall = median([run(argv).expect().wall for _ in range(bench.repeat + 4)])
        remove(out)
        return wall

    try:
        table.figure("perf record -g -- true",
                     wall_of([*bench.perf, "record", "-q", "-g", "-o", out, "--", "true"]), "s")
    except Failed as e:
        table.skip("perf record -g -- true", str(e))
    table.bar("kymo record -- true",
              wall_of([bench.kymo, "record", "-q", "-o", out, "--", "true"]), "s", 0.3)


def read_slowly(fd, to, bytes_per_second):
    """A disk that accepts only so much: ten portions a second."""
    portion = bytes_per_second // 10
    while True:
        begin = time.monotonic()
        left = portion
        while left:
            data = os.read(fd, left)
            if not data:
                return
            to.write(data)
            left -= len(data)
        time.sleep(max(0.0, 0.1 - (time.monotonic() - begin)))


def burst(bench):
    table = bench.table
    table.section(f"A burst: 2 s at {RATE} Hz on all CPUs, output takes 1 MB/s")
    trace = bench.path("burst.kymo")
    load = Running([bench.load, bench.nr_cpus, 0, 8])
    read_fd, write_fd = os.pipe()
    recorder = Running(kymo_record(bench, "-", "--duration", "2"), stdout=write_fd)
    os.close(write_fd)
    with open(trace, "wb") as f:
        reader = threading.Thread(target=read_slowly, args=(read_fd, f, 1000000))
        reader.start()
        recorder.wait().expect()
        reader.join()
    os.close(read_fd)
    load.child.kill()
    load.wait()
    info = bench.kymo_info(trace)
    records = sum(e["records"] for e in info["events"])
    lost = info["lost"]
    expected = 2 * RATE * bench.nr_cpus
    table.figure("samples recorded", records, "", f"of {expected}")
    table.figure("samples counted as lost", lost)
    table.bar("neither recorded nor counted", 100 * max(0, expected - records - lost) / expected,
              "%", 2)
