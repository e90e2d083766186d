#!/usr/bin/env python3
"""The main benchmarks: waveforms through spectrum (W), scalars through rms (S), readings into PostgreSQL (P).

usage: tests/bench/main_job.py [--waveforms N] [--scalars N] [--rounds N] [--only start,W,S,P,latency,slowed,streams]

Starts its own broker, registry and database on loopback, fills topics with build/bench_kafka, and takes every ratio in one
run: the yardstick (a bare consumer with the same librdkafka settings; a bare COPY BINARY) and netzpuls by turns, medians
over the rounds. Prints Markdown rows for tests/bench/RESULTS.md."""
import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from confluent_kafka import Consumer, TopicPartition  # noqa: E402
from servers import BINARY, ROOT, Servers  # noqa: E402

BENCH = BINARY.parent / "bench_kafka"
TICK = os.sysconf("SC_CLK_TCK")

PIPELINE = """
pipeline: {name}
kafka: {{ brokers: "{kafka}" }}
registry: {{ url: "{registry}" }}
inputs:
  data:
    topic: {topic}
    format: avro
    sensor: {sensor}
    time: {{ field: {time}, unit: ns }}
    {rate}
    channels: {{ U: {value} }}
    lateness: {lateness}
    idle: 1h
steps:
  {step}
outputs:
  topics: {{ {out}: {name}.out }}
  {postgres}
dead_letters: {{ topic: {name}.dead }}
run: {{ worker: bench, http: "127.0.0.1:{port}"{run} }}
"""


class Job:
    """netzpuls run, watched from outside until the group has committed everything."""

    def __init__(self, servers, folder, name, *args, **fields):
        self.servers, self.name, self.port = servers, name, free_port()
        path = folder / f"{name}.yaml"
        defaults = {"name": name, "kafka": servers.kafka, "registry": servers.registry, "postgres": "", "lateness": "2s", "run": "", "rate": "",
                    "port": self.port}
        path.write_text(PIPELINE.format(**{**defaults, **fields}))
        self.log = open(folder / f"{name}.log", "w")
        self.begin = time.monotonic()
        self.process = subprocess.Popen([BINARY, "run", path, *args], stdout=self.log, stderr=subprocess.STDOUT)

    def stat(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        cpu = (int(fields[11]) + int(fields[12])) / TICK
        peak = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{self.process.pid}/status").read_text()).group(1)
        return cpu, int(peak) / 1024

    def wait_committed(self, records, timeout_s=600):
        """Until so many result records are committed, by the program's own metrics."""
        while True:
            try:
                done = sum(v for k, v in metrics(self.port).items() if k.startswith("netzpuls_records_committed_total"))
            except OSError:
                done = 0
            if done >= records:
                assert done == records, f"{done} records of {records}"
                return self.measure()
            if self.process.poll() is not None or time.monotonic() - self.begin > timeout_s:
                raise RuntimeError(f"{self.name}: {done} records of {records}, see {self.log.name}")
            time.sleep(0.02)

    def measure(self):
        seconds = time.monotonic() - self.begin
        cpu, peak = self.stat()
        return seconds, cpu, peak

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def bare(servers, topic):
    out = subprocess.run([BENCH, "bare", servers.kafka, topic], check=True, capture_output=True, text=True).stdout
    found = re.search(r"seconds ([\d.]+) cpu ([\d.]+)", out)
    return float(found[1]), float(found[2])


def fill(servers, kind, topic, count):
    schema = (ROOT / f"tests/bench/bench_{kind[:-1]}.avsc").read_text()
    number = servers.register_schema(f"{topic}-value", schema)
    subprocess.run([BENCH, f"fill-{kind}", servers.kafka, topic, str(count), str(number)], check=True)


def make_topics(servers, name):
    """What a job of this name writes to, so that no run pays for making it."""
    servers.topic(f"{name}.dead", 8)
    servers.topic(f"{name}.state", 8, cleanup_policy="compact")
    return servers.topic(f"{name}.out", 8)


WAVES = {"sensor": "meter", "time": "t0", "value": "u",
         "rate": "rate: rate_hz", "out": "spectra",
         "step": "spectra: { operator: spectrum, input: data, window: 200ms, function: hann, "
                 "bands: { low: 0..45, mains: 45..55, rest: 55..1000 }, peaks: 5 }"}
SCALARS = {"sensor": "sensor", "time": "time", "value": "value",
           "out": "levels", "step": "levels: { operator: rms, input: data, window: 1s }"}


def windows(kind, messages):
    """Result records of a backlog: windows that end 2 s, the lateness, before the last sample."""
    if kind == "waveforms":
        return 200 * (messages // 200 - 11)
    return 1000 * ((messages // 1000 - 1) // 100 - 2)


def against_bare(servers, folder, letter, kind, fields, count, rounds):
    """Rate and CPU of netzpuls against the bare consumer, over one backlog and a three times longer one."""
    rows = {}
    for backlog in (1, 3):
        topic = servers.topic(f"{letter}{backlog}", 8)
        fill(servers, kind, topic, count * backlog)
        results = []
        for r in range(rounds):
            name = f"{letter.lower()}{backlog}-{r}"
            make_topics(servers, name)
            b = bare(servers, topic)
            job = Job(servers, folder, name, topic=topic, **fields)
            n = job.wait_committed(windows(kind, count * backlog))
            job.stop()
            results.append((*b, *n))
            print(f"  {letter} backlog {backlog} round {r}: bare {b[0]:.2f} s {b[1]:.2f} CPU s; netzpuls {n[0]:.2f} s "
                  f"{n[1]:.2f} CPU s, peak {n[2]:.0f} MB", flush=True)
        rows[backlog] = [statistics.median(column) for column in zip(*results)]
        rows[f"rate{backlog}"] = statistics.median(x[0] / x[2] for x in results)
        servers.delete_topic(topic)
    one, three = rows[1], rows[3]
    print(f"| {letter} | {count} messages | bare {one[0]:.2f} s, {one[1]:.2f} CPU s | netzpuls {one[2]:.2f} s, "
          f"{one[3]:.2f} CPU s | rate {rows['rate1']:.2f} of bare ({rows['rate3']:.2f} over 3x) | steady CPU "
          f"{(three[3] - one[3]) / max(three[1] - one[1], 1e-9):.2f}x bare, "
          f"{(three[3] - one[3]) / (2 * count) * 1e6:.2f} us a message | peak RSS {three[4]:.0f} MB |", flush=True)


def into_postgres(servers, folder, count, rounds):
    """Readings stored as they are, against COPY BINARY of the same rows from a file into a table of the same form."""
    topic = servers.topic("P", 8)
    fill(servers, "scalars", topic, count)
    ratios, ours, theirs = [], [], []
    for r in range(rounds):
        dsn, dsn_file = servers.database(f"p{r}")
        job = Job(servers, folder, f"p-{r}", "--only", "load", topic=topic, **{
            **SCALARS, "step": "levels: { operator: rms, input: data, window: 1s }",
            "postgres": f"postgres: {{ dsn_file: {dsn_file}, schema: grid, tables: [data] }}"})
        query = ["psql", dsn, "-Atc"]
        while True:
            done = subprocess.run([*query, "select coalesce(sum(cut), 0) from grid.cuts"], capture_output=True, text=True)
            if done.returncode == 0 and int(done.stdout) >= count:
                break
            if job.process.poll() is not None or time.monotonic() - job.begin > 300:
                raise RuntimeError(f"see {job.log.name}")
            time.sleep(0.05)
        n = job.measure()
        job.stop()
        rows = int(subprocess.run([*query, "select count(*) from grid.data_data"], check=True, capture_output=True,
                                  text=True).stdout)
        assert rows == count, f"{rows} rows of {count}"
        file = Path(tempfile.mkdtemp()) / "rows"
        for sql in ("create table public.bare (like grid.data_data including indexes)",
                    f"\\copy (select * from grid.data_data) to '{file}' with (format binary)"):
            subprocess.run([*query, sql], check=True, capture_output=True)
        begin = time.monotonic()
        subprocess.run([*query, f"\\copy public.bare from '{file}' with (format binary)"], check=True, capture_output=True)
        copy = time.monotonic() - begin
        file.unlink()
        ratios.append(copy / n[0])
        ours.append(n[0])
        theirs.append(copy)
        print(f"  P round {r}: bare COPY {copy:.2f} s; loader {n[0]:.2f} s, {n[1]:.2f} CPU s", flush=True)
    print(f"| P | {count} readings | bare COPY BINARY {statistics.median(theirs):.2f} s | loader "
          f"{statistics.median(ours):.2f} s | rate {statistics.median(ratios):.2f} of bare |", flush=True)


def first_result(servers, folder, rounds):
    """Start of the program to the first committed result; the topics are there and hold a backlog."""
    topic = servers.topic("start", 8)
    fill(servers, "waveforms", topic, 4000)
    times = []
    for r in range(rounds):
        out = make_topics(servers, f"start-{r}")
        consumer = Consumer({"bootstrap.servers": servers.kafka, "group.id": "first", "isolation.level": "read_committed",
                             "fetch.wait.max.ms": 10})
        consumer.assign([TopicPartition(out, p, 0) for p in range(8)])
        consumer.poll(1)
        job = Job(servers, folder, f"start-{r}", topic=topic, **WAVES)
        while True:
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                break
        times.append(time.monotonic() - job.begin)
        consumer.close()
        job.stop()
    print(f"| start | to the first committed result | median {statistics.median(times):.2f} s of {rounds}, "
          f"max {max(times):.2f} s |", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def metrics(port):
    """The program's metrics: {series: value}."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


def quantile(found, name, share):
    """A quantile of a histogram, interpolated in its bucket."""
    buckets = sorted((float(re.search(r'le="([^"]+)"', k)[1].replace("+Inf", "inf")), v) for k, v in found.items()
                     if k.startswith(name + "_bucket"))
    wanted, below, count = share * buckets[-1][1], 0.0, 0.0
    for bound, upto in buckets:
        if upto >= wanted:
            return below + (min(bound, 1e9) - below) * (wanted - count) / max(upto - count, 1e-9)
        below, count = bound, upto
    return below


def latency(servers, folder):
    """Sample to committed alert, under a steady load of 400 meters in real time."""
    topic = servers.topic("latency", 8)
    job = Job(servers, folder, "latency", topic=topic, **{
        **WAVES, "time": "t0", "value": "u_l1", "rate": "rate: rate_hz\n    encoding: float32", "lateness": "0s", "out": "high",
        "step": "levels: { operator: rms, input: data, window: 200ms }\n"
                "  high: { operator: limit, input: levels.rms, above: 229.9, clear: 229.8 }"})
    feed = subprocess.Popen([BINARY, "feed", "--topic", topic, "--brokers", servers.kafka, "--registry", servers.registry,
                             "--simulate", "meters=400,rate=5120Hz,block=200ms,noise=0.5%,seed=1,duration=30s"],
                            stdout=job.log, stderr=job.log)
    feed.wait(120)
    found = metrics(job.port)
    cpu = job.stat()[0]
    job.stop()
    name = "netzpuls_sample_to_commit_seconds"
    print(f"| latency | 400 meters, 25 MB/s, commit every 200 ms | end of window to committed alert: p50 "
          f"{quantile(found, name, 0.5):.2f} s, p99 {quantile(found, name, 0.99):.2f} s of {found[name + '_count']:.0f} alerts; "
          f"{cpu:.1f} CPU s in 30 s |", flush=True)


def slowed(servers, folder):
    """A worker that computes slowly must still be kept busy: the share of time that its one lane works."""
    topic = servers.topic("slowed", 8)
    fill(servers, "waveforms", topic, 60_000)
    job = Job(servers, folder, "slowed", "--kernels", "reference", topic=topic, run=", lanes: 1", **WAVES)
    time.sleep(4)
    before, begin = metrics(job.port), time.monotonic()
    time.sleep(8)
    after, seconds = metrics(job.port), time.monotonic() - begin
    busy = sum(after[k] - before[k] for k in after if k.startswith("netzpuls_stage_seconds_total")) / seconds
    rate = sum(after[k] - before[k] for k in after if k.startswith("netzpuls_messages_total")) / seconds
    job.stop()
    print(f"| slowed | reference kernels, one lane | {rate:.0f} messages/s; the lane works {busy:.2f} of the time |", flush=True)


def many_streams(servers, folder):
    """Peak memory and CPU per sample with 10, 1000 and 10000 streams of the same total."""
    for streams in (10, 1000, 10000):
        out = subprocess.run([BINARY.parent / "bench_lane", "spectrum", str(streams), "600000", "512"], check=True,
                             capture_output=True, text=True).stdout
        print("  " + out.strip(), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--waveforms", type=int, default=100_000)
    parser.add_argument("--scalars", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="start,W,S,P,latency,slowed,streams")
    args = parser.parse_args()
    wanted = args.only.split(",")
    folder = Path(tempfile.mkdtemp(prefix="netzpuls-bench."))
    folder.chmod(0o711)
    servers = Servers(folder / "servers")
    servers.start()
    try:
        if "start" in wanted:
            first_result(servers, folder, 5)
        if "W" in wanted:
            against_bare(servers, folder, "W", "waveforms", WAVES, args.waveforms, args.rounds)
        if "S" in wanted:
            against_bare(servers, folder, "S", "scalars", SCALARS, args.scalars, args.rounds)
        if "P" in wanted:
            into_postgres(servers, folder, args.scalars, args.rounds)
        if "latency" in wanted:
            latency(servers, folder)
        if "slowed" in wanted:
            slowed(servers, folder)
        if "streams" in wanted:
            many_streams(servers, folder)
    finally:
        servers.remove()
    shutil.rmtree(folder)        # kept after a failure: the logs are in it


if __name__ == "__main__":
    main()
