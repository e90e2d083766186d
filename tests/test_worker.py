"""Commit and recovery on a real broker: the worker is killed at each named point, frozen beyond its session,
cut off from its broker; and states that must not be passed over stop it with their reason."""

import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from servers import BINARY, wait_for

CRASH_BINARY = Path(os.environ.get("NP_CRASH_BINARY", "build-crash/netzpuls"))
PARTITIONS = 3
METERS = 9
START_S = 1_700_000_000
POINTS = ["commit.after_begin", "commit.after_results", "commit.after_cut", "commit.after_entries",
          "commit.after_snapshot", "commit.after_flush", "commit.after_offsets", "commit.after_commit",
          "recover.after_barrier", "recover.after_read", "worker.assigned", "worker.handing_over",
          "worker.revoked"]
PER_PARTITION = POINTS[1:5]     # passed once for each partition of a transaction
PIPELINE = """
pipeline: {name}
kafka: {{ brokers: "{kafka}" }}
inputs:
  waves:
    topic: {topic}
    format: json
    sensor: meter
    time: {{ field: t0, unit: ns }}
    rate: rate_hz
    channels: {{ U: u }}
    lateness: 100ms
    idle: 1h
steps:
  levels: {{ operator: rms, input: waves, window: 1s }}
  high:   {{ operator: limit, input: levels.rms, above: {above}, clear: 250, for: 2s, severity: warning }}
  odd:    {{ operator: anomaly, input: levels.rms, alarms: 1 per minute, warm_up: 50, severity: notice }}
outputs:
  topics: {{ levels: {{ topic: {name}.levels, format: json }}, high: {{ topic: {name}.alerts, format: json }},
            odd: {{ topic: {name}.alerts, format: json }} }}
dead_letters: {{ topic: {name}.dead }}
run: {{ commit: 50ms, snapshot: 500ms, session_timeout: 1s, worker: "${{NP_TEST_WORKER}}" }}
"""


@pytest.fixture
def name(name):
    """Short: it names topics and groups with suffixes."""
    return "worker-" + name.rsplit("-", 1)[1]


def write_pipeline(folder, servers, name, topic, above=253):
    path = folder / f"{name}.yaml"
    path.write_text(PIPELINE.format(name=name, kafka=servers.kafka, topic=topic, above=above))
    return path


def messages(chance, from_s, to_s):
    """One second of ten samples of each meter, some of them high, some messages broken or missing."""
    for second in range(from_s, to_s):
        for meter in range(METERS):
            key = f"m{meter}".encode()
            level = 260 if (second // (7 + meter)) % 3 == 1 else 230
            what = chance.random()
            value = {"meter": f"m{meter}", "t0": (START_S + second) * 10**9, "rate_hz": 10,
                     "u": [round(level + chance.gauss(0, 1), 2) for _ in range(10)]}
            if what < 0.01:
                yield {"key": key, "value": b"{broken", "partition": meter % PARTITIONS,
                       "headers": [("origin", b"test")]}
            elif what > 0.02:
                yield {"key": key, "value": json.dumps(value).encode(), "partition": meter % PARTITIONS}


def ends(servers, topic):
    consumer = Consumer({"bootstrap.servers": servers.kafka, "group.id": "ends"})
    try:
        return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), 30)[1] for p in range(PARTITIONS)}
    finally:
        consumer.close()


def cuts(servers, name, topic):
    consumer = Consumer({"bootstrap.servers": servers.kafka, "group.id": name})
    try:
        wanted = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        return {p.partition: p.offset for p in consumer.committed(wanted, 30)}
    finally:
        consumer.close()


def wait_until_done(servers, name, topic, *jobs):
    def done():
        for job in jobs:
            assert job.alive(), job.text
        try:
            return cuts(servers, name, topic) == ends(servers, topic)
        except KafkaException:    # a broker just started: "not coordinator"
            return False

    wait_for(done, f"{name} has committed all of {topic}", 90, 0.3)


def results(servers, name):
    """Every record and dead letter, and per key the order in which its records stand."""
    found, order = Counter(), defaultdict(list)
    for kind in ("levels", "alerts", "dead"):
        for m in servers.consume(f"{name}.{kind}"):
            origin = tuple(m.headers[h] for h in ("np.partition", "np.offset")) if kind == "dead" else ()
            found[(kind, m.key, m.value, origin)] += 1
            order[(kind, m.key)].append(m.value)
    return found, order


def start(start_netzpuls, path, worker="one", env=None, binary=BINARY):
    return start_netzpuls("run", path, env={"NP_TEST_WORKER": worker, **(env or {})}, binary=binary)


def assert_same_as_undisturbed(servers, start_netzpuls, tmp_path, name, topic):
    """Runs the same log through in a group of its own and compares."""
    golden = f"{name}-golden"
    job = start(start_netzpuls, write_pipeline(tmp_path, servers, golden, topic))
    wait_until_done(servers, golden, topic, job)
    assert job.stop() == 0, job.text
    expected, expected_order = results(servers, golden)
    found, order = results(servers, name)
    assert sum(expected.values()) > 1.1 * METERS
    assert found - expected == Counter(), f"too many: {list((found - expected).items())[:3]}"
    assert expected - found == Counter(), f"missing: {list((expected - found).items())[:3]}"
    assert order == expected_order
    assert any(key[0] == "alerts" for key in expected) and any(key[0] == "dead" for key in expected)


def test_each_record_is_there_once_after_a_kill_at_each_crash_point(servers, name, start_netzpuls, tmp_path):
    assert CRASH_BINARY.exists(), f"{CRASH_BINARY} is not built (NP_CRASH_POINTS)"
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    topic = servers.topic(f"{name}.waves", PARTITIONS)
    path = write_pipeline(tmp_path, servers, name, topic)
    second = 0
    for point in POINTS + chance.sample(POINTS[:8], 8):
        servers.produce(topic, messages(chance, second, second + 20))
        second += 20
        count = chance.choice((1, 2, 3)) if point in PER_PARTITION else 1
        job = start(start_netzpuls, path, env={"NP_CRASH_AT": f"{point}:{count}"}, binary=CRASH_BINARY)
        if point in ("worker.handing_over", "worker.revoked"):
            job.wait_for_log("partition recovered" if second > 20 else "partition begins")
            time.sleep(0.3)
            job.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not job.alive(), f"{point}:{count} reached", 20)
        assert job.wait() == -signal.SIGKILL, f"{point}:{count}: {job.text}"
    job = start(start_netzpuls, path)
    wait_until_done(servers, name, topic, job)
    assert job.stop() == 0, job.text
    assert_same_as_undisturbed(servers, start_netzpuls, tmp_path, name, topic)


def test_workers_frozen_beyond_their_session_add_nothing_when_they_wake(servers, name, start_netzpuls,
                                                                        tmp_path):
    chance = random.Random(7)
    topic = servers.topic(f"{name}.waves", PARTITIONS)
    path = write_pipeline(tmp_path, servers, name, topic)
    jobs = [start(start_netzpuls, path, worker) for worker in ("one", "two")]
    for turn in range(5):
        servers.produce(topic, messages(chance, turn * 20, turn * 20 + 20))
        time.sleep(chance.uniform(0, 0.3))
        frozen = jobs[turn % 2].process
        frozen.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        servers.produce(topic, messages(chance, 1000 + turn, 1001 + turn) if turn == 4 else [])
        frozen.send_signal(signal.SIGCONT)
        time.sleep(0.5)
    wait_until_done(servers, name, topic, *jobs)
    for job in jobs:
        assert job.stop() == 0, job.text
    assert_same_as_undisturbed(servers, start_netzpuls, tmp_path, name, topic)


def test_a_broker_that_is_killed_and_one_that_hangs_cost_nothing(servers, name, start_netzpuls, tmp_path):
    chance = random.Random(8)
    topic = servers.topic(f"{name}.waves", PARTITIONS)
    job = start(start_netzpuls, write_pipeline(tmp_path, servers, name, topic))
    job.wait_for_log("partition begins")
    servers.produce(topic, messages(chance, 0, 30))
    servers.kill("kafka")
    servers.start("kafka")
    servers.produce(topic, messages(chance, 30, 60))
    with servers.frozen("kafka"):
        time.sleep(3)
    servers.produce(topic, messages(chance, 60, 90))
    wait_until_done(servers, name, topic, job)
    assert job.stop() == 0, job.text
    assert_same_as_undisturbed(servers, start_netzpuls, tmp_path, name, topic)


def test_a_bad_message_goes_to_the_dead_letters_with_where_it_came_from(servers, name, start_netzpuls,
                                                                        tmp_path):
    topic = servers.topic(f"{name}.waves", PARTITIONS)
    servers.produce(topic, [{"key": b"m1", "value": b"{broken", "partition": 2,
                             "headers": [("origin", b"x")]},
                            {"key": b"m2", "value": b"[]", "partition": 2}])
    job = start(start_netzpuls, write_pipeline(tmp_path, servers, name, topic))
    wait_until_done(servers, name, topic, job)
    assert job.stop() == 0, job.text
    dead = servers.consume(f"{name}.dead")
    assert sorted((m.key, m.value) for m in dead) == [(b"m1", b"{broken"), (b"m2", b"[]")]
    first = next(m.headers for m in dead if m.key == b"m1")
    assert first["origin"] == b"x" and first["np.topic"] == topic.encode()
    assert first["np.partition"] == b"2" and first["np.offset"] == b"0"
    assert int(first["np.timestamp"]) > 1_600_000_000_000 and first["np.reason"] and first["np.detail"]


def make_topic_again(servers, topic):
    servers.delete_topic(topic)
    time.sleep(1)
    servers.topic(topic, PARTITIONS)


def add_a_partition(servers, topic):
    admin = AdminClient({"bootstrap.servers": servers.kafka})
    for done in admin.create_partitions([NewPartitions(topic, PARTITIONS + 1)]).values():
        done.result(30)
    time.sleep(0.5)


def forget_the_state(servers, topic):
    servers.delete_topic(topic.replace(".waves", ".state"))
    time.sleep(1)


@pytest.mark.parametrize("change, reason", [(make_topic_again, "deleted and made again"),
                                            (add_a_partition, "4 partitions and had 3"),
                                            (forget_the_state, "holds nothing of it")])
def test_a_state_that_must_not_be_passed_over_ends_the_program(servers, name, start_netzpuls, tmp_path,
                                                                   change, reason):
    topic = servers.topic(f"{name}.waves", PARTITIONS)
    path = write_pipeline(tmp_path, servers, name, topic)
    servers.produce(topic, messages(random.Random(1), 0, 10))
    job = start(start_netzpuls, path)
    wait_until_done(servers, name, topic, job)
    assert job.stop() == 0, job.text
    change(servers, topic)
    job = start(start_netzpuls, path)
    assert job.wait(60) == 2, job.text
    assert reason in job.text


def test_an_older_pipeline_file_is_refused_where_a_newer_one_was_at_work(servers, name, start_netzpuls,
                                                                          tmp_path):
    topic = servers.topic(f"{name}.waves", PARTITIONS)
    path = write_pipeline(tmp_path, servers, name, topic)
    old = path.read_text()
    servers.produce(topic, messages(random.Random(1), 0, 10))
    for text, code in ((old, 0), (old.replace("above: 253", "above: 254"), 0), (old + "# a comment\n", 2)):
        path.write_text(text)
        job = start(start_netzpuls, path)
        if code == 0:
            job.wait_for_log("assigned")
            time.sleep(1)
            servers.produce(topic, messages(random.Random(2), 10, 11))
            wait_until_done(servers, name, topic, job)
            assert job.stop() == 0, job.text
        else:
            assert job.wait(60) == code, job.text
            assert "revision 2 is at work" in job.text
