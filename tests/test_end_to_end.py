"""The whole way: files and feeds through a real broker into topics and PostgreSQL, with the program killed on the way."""

import json
import random
import struct
import time
from collections import Counter
from datetime import datetime, timezone

from servers import wait_for

PIPELINE = """
pipeline: {name}
kafka: {{ brokers: "{kafka}" }}
registry: {{ url: "{registry}" }}
inputs:
  waves:
    topic: {name}.waves
    format: {format}
    sensor: meter
    time: {{ field: t0, unit: ns }}
    rate: rate_hz
    channels: {channels}
    encoding: float32
    unit: V
    lateness: {lateness}
    idle: 1h
steps:
  levels:  {{ operator: rms, input: waves, window: 200ms }}
  spectra: {{ operator: spectrum, input: waves, window: 200ms, peaks: 2, bands: {{ low: 0..60, rest: 60..190 }} }}
  high:    {{ operator: limit, input: levels.rms, above: {above}, clear: {clear}, for: 400ms, severity: warning }}
  odd:     {{ operator: anomaly, input: levels.rms, alarms: 1 per minute, warm_up: 100, severity: notice }}
outputs:
  topics:
    levels: {name}.levels
    spectra: {name}.spectra
    high: {{ topic: {name}.alerts, format: json }}
    odd: {{ topic: {name}.alerts, format: json }}
  postgres: {{ dsn_file: "{dsn_file}", schema: grid, tables: [levels, spectra, high, odd], partition: 365d }}
dead_letters: {{ topic: {name}.dead }}
run: {{ commit: 100ms, snapshot: 1s, session_timeout: 1s }}
"""


def write_pipeline(folder, servers, database, name, channels, format="avro", lateness="0s", above=253, clear=250):
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.format(name=name, kafka=servers.kafka, registry=servers.registry, channels=channels,
                                    dsn_file=database[1], format=format, lateness=lateness, above=above, clear=clear))
    return path


def committed(servers, name):
    """Results in the topics, as dicts keyed like replay's lines; every message once, whatever its partition."""
    found = []
    for topic in ("levels", "spectra"):
        found += [servers.decode_avro(m.value) for m in servers.consume(f"{name}.{topic}")]
    found += [json.loads(m.value) for m in servers.consume(f"{name}.alerts")]
    return found


BASE = {"step", "sensor", "channel", "start", "end", "start_time", "end_time", "coverage", "flags"}


def as_float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def same_form(value):
    """JSON writes 5.0 as 5, and arrays of float32 in as many digits as they need."""
    if isinstance(value, list):
        return [as_float32(x) for x in value]
    return float(value) if isinstance(value, (int, float)) else value


def plain(r):
    """(step, sensor, channel, start, end [ns], coverage, columns) of a line of replay or a record of a topic, comparable bit for bit."""
    step = r.get("step") or ("levels" if "crest_factor" in r else "spectra")
    start, end = (r[k] if isinstance(r.get(k), int) else ns(r[k[:-5]]) for k in ("start_time", "end_time"))
    columns = tuple(sorted((k, str(same_form(v))) for k, v in r.items() if k not in BASE))
    return step, r["sensor"], r["channel"], start, end, as_float32(r["coverage"]), columns


def loaded(servers, database, step):
    if servers.sql(f"select to_regclass('grid.{step}')", dsn=database[0]) == [(None,)]:
        return 0
    return servers.sql(f"select count(*) from grid.{step}", dsn=database[0])[0][0]


def ns(text):
    whole, fraction = text[:-1].split(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 10**9 + int(fraction)


def settled(count, what, quiet_s=3.0, timeout_s=90):
    """Waits until count() is there and has not changed for a while; returns it."""
    last, since, end = count(), time.monotonic(), time.monotonic() + timeout_s
    while not last or time.monotonic() - since < quiet_s:
        assert time.monotonic() < end, what
        time.sleep(0.2)
        now = count()
        if now != last:
            last, since = now, time.monotonic()
    return last


def test_recordings_fed_through_kafka_give_the_results_of_replay_bit_for_bit(servers, database, name, netzpuls,
                                                                           start_netzpuls, data, tmp_path):
    recording = data / "enf_whu_mains_400hz" / "001_ref.wav"
    path = write_pipeline(tmp_path, servers, database, name, "{ U1: ch1 }", above=0.2, clear=0.19)
    servers.topic(f"{name}.waves", 2)
    done = netzpuls("replay", path, "--input", f"waves={recording}", "--sensor", "mains", "--start", "2026-03-01T12:00:00Z")
    assert done.returncode == 0, done.stderr
    golden = [json.loads(line) for line in done.stdout.splitlines()]

    fed = netzpuls("feed", "--topic", f"{name}.waves", recording, "--sensor", "mains", "--start", "2026-03-01T12:00:00Z",
                   "--speed", "max", "--brokers", servers.kafka, "--registry", servers.registry)
    assert fed.returncode == 0, fed.stderr
    job = start_netzpuls("run", path)
    total = settled(lambda: loaded(servers, database, "levels"), "rows of levels in PostgreSQL")
    assert job.stop() == 0, job.text

    # the last window waits for a sample behind its end; replay knows that none will come
    live = [plain(r) for r in committed(servers, name)]
    wanted = {plain(r) for r in golden}
    assert len(live) == len(set(live))
    assert set(live) <= wanted, sorted(set(live) - wanted)[:2]
    missing = wanted - set(live)
    last = max(r[3] for r in wanted)
    assert len(missing) <= 6 and all(r[3] >= last - 10**9 for r in missing), sorted(missing)[:3]

    levels = sorted((r for r in committed(servers, name) if "crest_factor" in r), key=lambda r: r["start_time"])
    rows = servers.sql("select sensor, channel, rms, n from grid.levels order by start_time", dsn=database[0])
    assert rows == [(r["sensor"], r["channel"], r["rms"], r["n"]) for r in levels]
    assert total == len(levels)


def test_each_record_and_row_is_there_once_after_thirty_kills(servers, database, name, netzpuls, start_netzpuls,
                                                             tmp_path):
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    path = write_pipeline(tmp_path, servers, database, name, "{ U1: u_l1, U2: u_l2, U3: u_l3 }", lateness="500ms")
    servers.topic(f"{name}.waves", 4)
    spec = "meters=20,rate=1000Hz,block=200ms,duration=120s,swell=every 20s to 115% for 3s,noise=0.5%,poison=0.5%,seed=3"
    fed = netzpuls("feed", "--topic", f"{name}.waves", "--simulate", spec, "--start", "2026-03-01T12:00:00Z",
                   "--speed", "max", "--brokers", servers.kafka, "--registry", servers.registry)
    assert fed.returncode == 0, fed.stderr
    messages = servers.consume(f"{name}.waves")

    # the same log undisturbed, in a group of its own, with one thread and small batches, is the golden run
    golden_db = servers.database(f"{name}-golden")
    golden_name = f"{name}-golden"
    golden_path = tmp_path / "golden.yaml"
    golden_path.write_text(path.read_text().replace(f"pipeline: {name}", f"pipeline: {golden_name}")
                           .replace(f"{name}.levels", f"{golden_name}.levels").replace(f"{name}.spectra", f"{golden_name}.spectra")
                           .replace(f"{name}.alerts", f"{golden_name}.alerts").replace(f"{name}.dead", f"{golden_name}.dead")
                           .replace(str(database[1]), str(golden_db[1])).replace("run: { ", "run: { lanes: 1, batch_rows: 7, "))
    job = start_netzpuls("run", golden_path)
    settled(lambda: loaded(servers, golden_db, "levels"), "golden rows")
    assert job.stop() == 0, job.text
    golden = Counter(plain(r) for r in committed(servers, golden_name))
    golden_dead = len(servers.consume(f"{golden_name}.dead"))
    assert golden_dead > 10 and len(messages) > 10000

    first = start_netzpuls("run", path, "--only", "compute")
    first.wait_for_log("partition begins")      # the topics are made
    first.kill()
    for kill in range(30):
        half, working = chance.choice([("compute", "recover partition"), ("load", "loading"), ("compute", "recover partition")])
        job = start_netzpuls("run", path, "--only", half)
        if chance.random() < 0.7:
            job.wait_for_log(working)
        time.sleep(chance.uniform(0.0, 0.6))
        job.kill()
    job = start_netzpuls("run", path)
    settled(lambda: loaded(servers, database, "levels") + loaded(servers, database, "spectra"), "rows", quiet_s=4)
    wanted = loaded(servers, golden_db, "levels")
    wait_for(lambda: loaded(servers, database, "levels") >= wanted, f"{wanted} rows of levels", 30)
    assert job.stop() == 0, job.text
    found = Counter(plain(r) for r in committed(servers, name))
    assert found - golden == Counter(), list((found - golden).items())[:3]
    assert golden - found == Counter(), list((golden - found).items())[:3]
    assert len(servers.consume(f"{name}.dead")) == golden_dead
    for step in ("levels", "spectra", "high", "odd"):
        assert loaded(servers, database, step) == loaded(servers, golden_db, step), step
    assert loaded(servers, database, "high") > 0


def test_two_workers_share_the_partitions_and_hand_them_over(servers, database, name, netzpuls, start_netzpuls, tmp_path):
    path = write_pipeline(tmp_path, servers, database, name, "{ U1: u_l1 }", lateness="500ms")
    servers.topic(f"{name}.waves", 4)
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    for file in (one, two):      # each worker has a name of its own
        file.write_text(path.read_text().replace("run: { ", f"run: {{ worker: {file.stem}, "))
    first = start_netzpuls("run", one)
    first.wait_for_log("assigned")
    feed = start_netzpuls("feed", "--topic", f"{name}.waves", "--simulate", "meters=12,rate=1000Hz,block=200ms,duration=20s,seed=5",
                          "--speed", "2", "--brokers", servers.kafka, "--registry", servers.registry,
                          "--start", "2026-03-01T12:00:00Z")
    time.sleep(2)
    second = start_netzpuls("run", two)
    time.sleep(3)
    assert first.stop() == 0, first.text
    assert feed.wait(60) == 0, feed.text
    settled(lambda: loaded(servers, database, "levels"), "rows")
    assert second.stop() == 0, second.text
    live = committed(servers, name)
    keys = Counter(plain(r)[:4] for r in live)
    assert max(keys.values()) == 1, keys.most_common(2)
    levels = [r for r in live if "crest_factor" in r]
    assert all(r["coverage"] == 1 for r in levels if r["start_time"] > 0), [r for r in levels if r["coverage"] != 1][:3]
    assert len(levels) >= 12 * (20 * 5 - 4)


def test_an_input_loaded_as_it_is_has_every_reading_in_a_row(servers, database, name, start_netzpuls, tmp_path):
    path = tmp_path / "stored.yaml"
    path.write_text(f"""
pipeline: {name}
kafka: {{ brokers: "{servers.kafka}" }}
inputs:
  outside:
    topic: {name}.readings
    format: json
    sensor: station
    time: t
    channels: {{ temperature: temp, humidity: hum }}
    unit: "1"
    lateness: 0s
    idle: 1h
outputs:
  postgres: {{ dsn_file: "{database[1]}", schema: grid, tables: [outside], partition: 365d }}
dead_letters: {{ topic: {name}.dead }}
""")
    servers.topic(f"{name}.readings", 2)
    readings = [{"station": f"s{i % 3}", "t": f"2026-03-01T12:{i // 60:02}:{i % 60:02}.5Z", "temp": i / 8, "hum": None if i % 5 == 0 else i}
                for i in range(300)]
    servers.produce(f"{name}.readings", [(r["station"], json.dumps(r)) for r in readings] + [("s0", "broken")])
    job = start_netzpuls("run", path)
    settled(lambda: loaded(servers, database, "outside"), "rows")
    assert job.stop() == 0, job.text
    rows = servers.sql("select sensor, channel, time at time zone 'UTC', value from grid.outside where value is not null "
                       "order by time, channel desc", dsn=database[0])
    wanted = [(r["station"], channel, datetime.fromisoformat(r["t"][:-1]), value) for r in readings
              for channel, value in (("temperature", r["temp"]), ("humidity", r["hum"])) if value is not None]
    assert rows == wanted
    rejected = servers.sql("select topic, reason from grid.rejected_rows", dsn=database[0])
    assert len(rejected) == 1 and rejected[0][0] == f"{name}.readings", rejected
