"""The user's mistakes and servers that are away: one clear line each, the right exit status, no endless silent
retry, and never a password in what is printed."""

import json
import re
import socket
import struct
import time
import urllib.request

import pytest

from servers import encode_avro, wait_for

PASSWORD = "hush-8Qw1-secret"
SCHEMA = {"type": "record", "name": "Wave", "fields": [
    {"name": "meter", "type": "string"}, {"name": "t0", "type": "long"}, {"name": "rate_hz", "type": "double"},
    {"name": "u", "type": "bytes"}]}
PIPELINE = """pipeline: {name}
kafka: {{ brokers: "{kafka}"{properties} }}
registry: {{ url: "{registry}" }}
inputs:
  waves:
    topic: {name}.in
    format: avro
    unit: V
    sensor: meter
    time: {{ field: t0, unit: ns }}
    rate: rate_hz
    channels: {{ U: u }}
    encoding: float32
    lateness: 0s
    idle: 1h
steps:
  levels: {{ operator: rms, input: waves, window: 1s }}
  high: {{ operator: limit, input: levels.rms, above: 253 }}
outputs:
  topics: {{ levels: {name}.levels, high: {{ topic: {name}.alerts, format: json }} }}
  postgres: {{ dsn_file: "{dsn}", schema: grid, tables: [levels, high], retention: 9000d }}
dead_letters: {{ topic: {name}.dead }}
run: {{ commit: 100ms, session_timeout: 2s }}
"""
KAFKA, REGISTRY, INPUT, LEVELS, POSTGRES = "2:8", "3:11", "6:5", "17:11", "21:13"


@pytest.fixture
def name(name):
    """Short: it names topics and groups with suffixes."""
    return "mistakes-" + name.rsplit("-", 1)[1]


def dead_port():
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    """A pipeline file for which everything is right, until a test breaks one thing."""

    def __init__(self, servers, name, database, folder):
        self.servers, self.name, self.folder = servers, name, folder
        self.dsn = database[0]
        self.values = {"name": name, "kafka": servers.kafka, "registry": servers.registry, "dsn": database[1],
                       "properties": ""}
        self.path = folder / "p.yaml"
        self.servers.topic(f"{name}.in", 2)
        self.schema_id = servers.register_schema(f"{name}.in-value", SCHEMA)
        self.write()

    def write(self, **values):
        self.values.update(values)
        self.path.write_text(PIPELINE.format(**self.values))
        return self.path

    def write_dsn(self, dsn):
        path = self.folder / "dsn"
        path.write_text(dsn + "\n")
        return self.write(dsn=path)

    def produce(self, seconds):
        values = [encode_avro(self.schema_id, SCHEMA, {"meter": "m", "t0": (1_700_000_000 + s) * 10**9, "rate_hz": 10.0,
                                                       "u": struct.pack("<10f", *[230 + s] * 10)})
                  for s in range(seconds)]
        self.servers.produce(f"{self.name}.in", [(b"m", value) for value in values])

    def rows(self):
        return self.servers.sql("SELECT count(*) FROM grid.levels", dsn=self.dsn)[0][0]


@pytest.fixture
def world(servers, name, database, tmp_path):
    return World(servers, name, database, tmp_path)


def set_compatibility(servers, subject, level):
    request = urllib.request.Request(f"{servers.registry}/config/{subject}", method="PUT",
                                     data=json.dumps({"compatibility": level}).encode(),
                                     headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
        pass


def other_levels_schema(servers, world):
    """Something else is registered under the subject of the results."""
    subject = f"{world.name}.levels-value"
    servers.register_schema(subject, {"type": "record", "name": "Other", "fields": [
        {"name": "sensor", "type": "long"}]})
    set_compatibility(servers, subject, "FULL")


def unfit_schema(servers, world):
    servers.register_schema(f"{world.name}.in-value", {**SCHEMA, "fields": [
        {"name": "meter", "type": "string"}, {"name": "t0", "type": "long"}, {"name": "rate_hz", "type": "double"},
        {"name": "voltage", "type": "bytes"}]})


def changed_column(servers, world):
    servers.sql("CREATE SCHEMA grid; CREATE TABLE grid.levels_data (start_time timestamptz, rms text) "
                "PARTITION BY RANGE (start_time)", dsn=world.dsn)


def wrong_password(world):
    return world.write_dsn(re.sub(r"password=\S+", f"password={PASSWORD}", world.dsn))


def lines(done):
    return done.stderr.splitlines()


def check(netzpuls, world, timeout=60):
    begin = time.monotonic()
    done = netzpuls("check", "--connect", world.path, timeout=timeout)
    assert PASSWORD not in done.stdout + done.stderr
    return done, time.monotonic() - begin


# --- check --connect ---


def test_check_of_a_good_pipeline_tells_what_is_there_and_makes_nothing(world, netzpuls):
    done, _ = check(netzpuls, world)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert f"topic {world.name}.in: 2 partitions\n" in done.stdout
    assert f"topic {world.name}.levels: does not exist; `netzpuls run` makes it\n" in done.stdout
    assert "ok: 1 input, 2 steps" in done.stdout
    again, _ = check(netzpuls, world)
    assert again.stdout == done.stdout
    assert world.servers.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'grid'", dsn=world.dsn) == []


def test_check_without_any_server_says_one_line_each_and_exits_2(world, netzpuls):
    port = dead_port()
    world.write(kafka=f"127.0.0.1:{port}", registry=f"http://127.0.0.1:{port}")
    world.write_dsn(f"host=127.0.0.1 port={port} user=u password={PASSWORD}")
    done, seconds = check(netzpuls, world)
    assert done.returncode == 2 and seconds < 15, (seconds, done)
    kafka, registry, postgres = lines(done)
    assert kafka.startswith(f"{world.path}:{KAFKA}: kafka: no answer from 127.0.0.1:{port} within 5 s: "), kafka
    assert "Connection refused" in kafka
    assert registry.startswith(f"{world.path}:{REGISTRY}: registry http://127.0.0.1:{port}: "), registry
    assert postgres.startswith(f"{world.path}:{POSTGRES}: PostgreSQL: connect: "), postgres
    assert "Connection refused" in postgres


def test_check_says_all_mistakes_at_once_and_exits_1(servers, world, netzpuls):
    unfit_schema(servers, world)
    other_levels_schema(servers, world)
    changed_column(servers, world)
    done, _ = check(netzpuls, world)
    assert done.returncode == 1, done
    said = lines(done)
    assert any(re.search(rf":{INPUT}: input waves: subject {world.name}\.in-value, schema \d+: field u: record Wave has no "
                         "field u$", line)
               for line in said), said
    assert any(f":{LEVELS}: subject {world.name}.levels-value: " in line
               and "the schema does not fit the earlier ones of its subject (take another topic, or change the "
               "subject's compatibility)" in line for line in said), said
    assert any(f':{LEVELS}: table grid.levels_data: column "rms" is text there, levels gives double precision; a type '
               "cannot be changed in place: rename levels in the pipeline" in line for line in said), said
    assert len(said) == 3, said


def test_check_of_an_unknown_topic(world, netzpuls):
    world.write(name=world.name + "x")
    done, _ = check(netzpuls, world)
    assert done.returncode == 1, done
    assert lines(done) == [f"{world.path}:{INPUT}: topic {world.name}x.in does not exist, and an input is not made by "
                           "this program"]
    assert "the registry has no subject" in done.stdout


def test_check_with_a_wrong_password(world, netzpuls):
    wrong_password(world)
    done, _ = check(netzpuls, world)
    assert done.returncode == 1, done
    [line] = lines(done)
    assert line.startswith(f"{world.path}:{POSTGRES}: PostgreSQL: connect: ") and "password authentication failed" in line, line


def test_check_with_a_login_that_the_broker_refuses(world, netzpuls):
    # a listener without SASL refuses whoever wants to log in
    world.write(properties=', properties: { security.protocol: sasl_plaintext, sasl.mechanisms: PLAIN, '
                           'sasl.username: me, sasl.password: "${NP_TEST_SASL}" }')
    done = netzpuls("check", "--connect", world.path, env={"NP_TEST_SASL": PASSWORD})
    assert PASSWORD not in done.stdout + done.stderr
    assert done.returncode == 1 and len(lines(done)) == 1, done
    assert lines(done)[0].startswith(f"{world.path}:{KAFKA}: kafka: the broker refuses the connection: "), done


def test_check_of_a_mistake_beside_a_server_that_is_away_exits_1(world, netzpuls):
    world.write(name=world.name + "x", registry=f"http://127.0.0.1:{dead_port()}")
    done, _ = check(netzpuls, world)
    assert done.returncode == 1, done
    assert len(lines(done)) == 2


def test_check_with_servers_that_hang_ends_within_seconds(servers, world, netzpuls):
    with servers.frozen("registry"):
        done, seconds = check(netzpuls, world)
    assert done.returncode == 2 and seconds < 15, (seconds, done)
    [line] = lines(done)
    assert line.startswith(f"{world.path}:{REGISTRY}: registry "), line


# --- run ---


def fails(start_netzpuls, world, code, text, *args, timeout_s=40):
    program = start_netzpuls("run", world.path, *args)
    try:
        assert program.wait(timeout_s) == code, program.text
    except Exception:
        print(program.text)
        raise
    assert PASSWORD not in program.text
    said = [line for line in program.text.splitlines() if text in line]
    assert len(said) == 1 and said[0].startswith("netzpuls: "), program.text
    assert program.text.splitlines()[-1] == said[0], program.text
    return said[0]


def test_run_with_a_wrong_password(world, start_netzpuls):
    wrong_password(world)
    assert "password authentication failed" in fails(start_netzpuls, world, 1, "PostgreSQL: connect: ")


def test_run_of_an_unknown_topic(world, start_netzpuls):
    world.write(name=world.name + "x")
    fails(start_netzpuls, world, 1, f"topic {world.name}x.in does not exist")


def test_run_without_a_broker(world, start_netzpuls):
    world.write(kafka=f"127.0.0.1:{dead_port()}")
    said = fails(start_netzpuls, world, 2, "kafka: no answer from 127.0.0.1:")
    assert "within 10 s" in said and "Connection refused" in said


def test_run_with_the_registry_down(world, start_netzpuls):
    port = dead_port()
    world.write(registry=f"http://127.0.0.1:{port}")
    fails(start_netzpuls, world, 2, f"registry http://127.0.0.1:{port}: ")


def test_run_with_a_result_schema_that_the_registry_refuses(servers, world, start_netzpuls):
    other_levels_schema(servers, world)
    fails(start_netzpuls, world, 1, f"subject {world.name}.levels-value: ")


def test_run_with_a_column_of_another_type(servers, world, start_netzpuls):
    changed_column(servers, world)
    said = fails(start_netzpuls, world, 1, "table grid.levels_data")
    assert 'column "rms" is text there' in said and "rename levels in the pipeline" in said


def test_run_that_ends_while_it_joins_its_group(servers, world, start_netzpuls):
    # the loader ends the program while the worker is about to get its partitions: it once crashed there
    changed_column(servers, world)
    for _ in range(6):
        fails(start_netzpuls, world, 1, "table grid.levels_data")


def test_run_with_a_schema_that_does_not_fit_sends_the_messages_to_the_dead_letters(servers, world,
                                                                                    start_netzpuls):
    unfit = {**SCHEMA, "fields": SCHEMA["fields"][:3]}
    schema_id = servers.register_schema(f"{world.name}.other-value", unfit)
    servers.produce(f"{world.name}.in", [encode_avro(schema_id, unfit, {"meter": "m", "t0": 1, "rate_hz": 1.0})])
    program = start_netzpuls("run", world.path, "--only", "compute")
    program.wait_for_log("topic made")
    wait_for(lambda: servers.consume(f"{world.name}.dead"), "a dead letter")
    [message] = servers.consume(f"{world.name}.dead")
    assert message.headers["np.reason"] == b"schema" and f"schema {schema_id}: ".encode() in message.headers["np.detail"]
    assert program.stop() == 0, program.text


def test_run_with_the_database_away_computes_says_so_and_loads_when_it_is_there(servers, world, start_netzpuls):
    servers.stop("postgres")
    try:
        program = start_netzpuls("run", world.path)
        world.produce(5)
        wait_for(lambda: program.text.count("waiting for PostgreSQL") >= 3, "three lines about the database")
        wait_for(lambda: len(servers.consume(f"{world.name}.levels")) >= 3, "results without a database")
        assert program.alive() and "delay_ms=" in program.text and "Connection refused" in program.text
    finally:
        servers.start("postgres")
    program.wait_for_log("connected to PostgreSQL")
    wait_for(lambda: world.rows() >= 3, "rows")
    assert program.stop() == 0, program.text
    assert re.search(r"password=(\S+)", world.dsn).group(1) not in program.text


@pytest.mark.parametrize("there", [[], ["levels"]])
def test_a_loader_that_is_started_first_finds_its_topics_within_seconds(servers, world, start_netzpuls, there):
    for topic in there:
        servers.topic(f"{world.name}.{topic}", 2)
    load = start_netzpuls("run", world.path, "--only", "load")
    load.wait_for_log(f"Subscribed topic not available: {world.name}.alerts")
    time.sleep(2)
    world.produce(30)
    compute = start_netzpuls("run", world.path, "--only", "compute")
    compute.wait_for_log(f"topic made topic={world.name}.alerts")
    load.wait_for_log(f"loading topic={world.name}.alerts", 12)
    wait_for(lambda: world.rows() >= 25 and servers.sql("SELECT 1 FROM grid.high", dsn=world.dsn), "rows", 12)
    assert compute.stop() == 0 and load.stop() == 0, (compute.text, load.text)
    assert load.text.count("Subscribed topic not available") == 2 - len(there), load.text


# --- feed ---


def feed_fails(netzpuls, code, text, *args):
    done = netzpuls("feed", "--simulate", "meters=1,duration=1s", "--speed", "max", *args)
    assert done.returncode == code, done
    assert len(lines(done)) == 1 and lines(done)[0].startswith("netzpuls: ") and text in done.stderr, done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_feed_without_what_it_needs(servers, name, netzpuls):
    topic = servers.topic(name)
    port = dead_port()
    kafka, registry = ("--brokers", servers.kafka), ("--registry", servers.registry)
    feed_fails(netzpuls, 1, f"topic {name}-none: ", "--topic", f"{name}-none", *kafka, *registry)
    feed_fails(netzpuls, 2, f"no answer from 127.0.0.1:{port}", "--topic", topic, "--brokers", f"127.0.0.1:{port}")
    feed_fails(netzpuls, 2, f"registry http://127.0.0.1:{port}: ", "--topic", topic, *kafka, "--registry",
               f"http://127.0.0.1:{port}")
    feed_fails(netzpuls, 1, "the url holds a name or password", "--topic", topic, *kafka, "--registry",
               f"http://me:{PASSWORD}@127.0.0.1:{port}")


def test_feed_of_a_schema_that_the_registry_refuses(servers, name, netzpuls):
    topic = servers.topic(name)
    servers.register_schema(f"{topic}-value", {"type": "record", "name": "Other", "fields": [
        {"name": "meter", "type": "long"}]})
    set_compatibility(servers, f"{topic}-value", "FULL")
    feed_fails(netzpuls, 1, f"subject {topic}-value: ", "--topic", topic, "--brokers", servers.kafka, "--registry",
               servers.registry)
