"""netzpuls feed: what the files or the specification say is in the topic, once, or the exit status tells."""

import json
import struct
import time


def floats(value):
    return struct.unpack(f"<{len(value) // 4}f", value)


def test_a_wav_file_arrives_bit_for_bit_and_in_order(servers, name, netzpuls, data):
    path = data / "enf_whu_mains_400hz" / "001_ref.wav"
    topic = servers.topic(name, 3)

    done = netzpuls("feed", "--topic", topic, "--brokers", servers.kafka, "--registry", servers.registry,
                    "--speed", "max",
                    "--sensor", "socket", "--start", "2026-03-01T12:00:00Z", path)
    assert done.returncode == 0, done.stderr
    messages = servers.consume(topic)
    records = [servers.decode_avro(m.value) for m in messages]
    assert {m.key for m in messages} == {b"socket"} and len({m.partition for m in messages}) == 1
    got = [x for record in records for x in floats(record["ch1"])]
    raw = path.read_bytes()[44:]
    want = [x / 32768 for x in struct.unpack(f"<{len(raw) // 2}h", raw)]
    assert got == want
    assert records[0]["t0"] == 1772366400 * 10**9 and records[0]["rate_hz"] == 400
    assert [r["t0"] for r in records] == [records[0]["t0"] + i * 200_000_000 for i in range(len(records))]


def test_rows_with_irregular_times_become_readings(servers, name, netzpuls, tmp_path):
    path = tmp_path / "tank.csv"
    path.write_text("time,level,temperature\n2026-03-01T12:00:00Z,1.5,\n2026-03-01T12:00:01.3Z,2,20\n"
                    "2026-03-01T12:00:09Z,3,21\n")
    topic = servers.topic(name)

    done = netzpuls("feed", "--topic", topic, "--brokers", servers.kafka, "--speed", "max", "--format",
                    "json", path)
    assert done.returncode == 0, done.stderr
    assert [json.loads(m.value) for m in servers.consume(topic)] == [
        {"meter": "tank", "t0": 1772366400_000000000, "level": 1.5, "temperature": None},
        {"meter": "tank", "t0": 1772366401_300000000, "level": 2, "temperature": 20},
        {"meter": "tank", "t0": 1772366409_000000000, "level": 3, "temperature": 21},
    ]


def test_channels_with_skew_come_in_messages_of_their_own(servers, name, netzpuls, data):
    topic = servers.topic(name)

    done = netzpuls("feed", "--topic", topic, "--brokers", servers.kafka, "--registry", servers.registry,
                    "--speed", "max",
                    "--code-page", "CP1251", "--duration", "1s", data / "comtrade_real_relays" / "2.cfg")
    assert done.returncode == 0, done.stderr
    records = [servers.decode_avro(m.value) for m in servers.consume(topic)]
    held = [[key for key, value in r.items() if isinstance(value, bytes)] for r in records]
    assert all(len(keys) >= 1 for keys in held)
    first, second = (key for key in list(records[0])[3:5])
    t0 = {key: next(r["t0"] for r in records if r[key]) for key in (first, second)}
    assert t0[second] - t0[first] == 13000


def test_the_same_seed_gives_the_same_messages(servers, name, netzpuls):
    values = []
    for i in range(2):
        topic = servers.topic(f"{name}-{i}")
        done = netzpuls("feed", "--topic", topic, "--brokers", servers.kafka, "--registry", servers.registry,
                        "--speed", "max",
                        "--simulate",
                        "meters=7,rate=1000Hz,duration=4s,poison=5%,seed=3,start=2026-03-01T12:00:00Z")
        assert done.returncode == 0, done.stderr
        assert "140 messages" in done.stdout and "140 confirmed, 0 not" in done.stdout
        values.append([m.value[5:] for m in servers.consume(topic)])
    assert values[0] == values[1] and len(values[0]) == 140
    assert 0 < sum(b"no schema fits" in value for value in values[0]) < 30


def test_the_speed_is_kept(servers, name, netzpuls):
    begin = time.monotonic()
    done = netzpuls("feed", "--topic", servers.topic(name), "--brokers", servers.kafka, "--speed", "4",
                    "--simulate", "duration=8s,block=100ms")
    assert done.returncode == 0, done.stderr
    assert 1.9 < time.monotonic() - begin < 10


def test_a_broker_that_goes_and_comes_back_loses_and_doubles_nothing(servers, name, start_netzpuls):
    topic = servers.topic(name, 2)
    feed = start_netzpuls("feed", "--topic", topic, "--brokers", servers.kafka, "--registry",
                          servers.registry,
                          "--simulate",
                          "meters=5,rate=1000Hz,duration=12s,block=100ms,start=2026-03-01T12:00:00Z")
    time.sleep(2)
    servers.restart("kafka")
    assert feed.wait(90) == 0, feed.text
    records = [servers.decode_avro(m.value) for m in servers.consume(topic)]
    assert len(records) == 600
    assert len({(r["meter"], r["t0"]) for r in records}) == 600


def test_mistakes_are_one_line_with_exit_1_and_failures_with_exit_2(servers, name, netzpuls, tmp_path):
    topic = servers.topic(name)
    broken = tmp_path / "broken.csv"
    broken.write_text("time,u\n2026-03-01T12:00:00Z,1\n2026-03-01T12:00:01Z,volts\n")
    brokers = ("--brokers", servers.kafka)
    for args, status, text in [
        (("--topic", topic, *brokers), 1, "give either files or --simulate"),
        (("--topic", topic, *brokers, "--simulate", "metres=3"), 1,
         'there is no key "metres"; allowed: meters, rate'),
        (("--topic", topic, *brokers, "--speed", "fast", "--simulate", "meters=1"), 1, '--speed is "fast"'),
        (("--topic", topic, *brokers, tmp_path / "none.csv"), 1, "none.csv: No such file"),
        (("--topic", topic, *brokers, broken), 1,
         'broken.csv:3: column 2 (u): "volts" is not a finite number'),
        (("--topic", f"{name}-unknown", *brokers, "--simulate", "meters=1"), 1, "create it first"),
        (("--topic", topic, "--brokers", "127.0.0.1:1", "--simulate", "meters=1"), 2,
         "no answer from 127.0.0.1:1"),
        (("--topic", topic, *brokers, "--registry", "http://127.0.0.1:1", "--simulate", "meters=1"), 2,
         "127.0.0.1:1"),
    ]:
        done = netzpuls("feed", *args)
        assert done.returncode == status, (args, done.returncode, done.stderr)
        assert text in done.stderr and len(done.stderr.splitlines()) == 1, (args, done.stderr)
