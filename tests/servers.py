"""Real servers and the real program for the tests: deploy/servers.sh and build/netzpuls with Python's manners."""

import io
import json
import os
import shutil
import signal
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

import avro.io
import avro.schema
import psycopg2
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "deploy" / "servers.sh"
BINARY = Path(os.environ.get("NP_BINARY", ROOT / "build" / "netzpuls"))

Message = namedtuple("Message", "topic partition offset timestamp key value headers")


def wait_for(condition, what, timeout_s=30.0, step_s=0.05):
    """Returns the first true value of condition(); fails with what was waited for."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout_s} s still not: {what}")
        time.sleep(step_s)


class Servers:
    """Broker, registry and database in one folder; see deploy/servers.sh."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._producer = None

    def _call(self, command, *args, timeout=180):
        # the servers inherit the pipes of the command that starts them: take its words from a file
        log = self.folder.parent / f"{self.folder.name}.{command}.out"
        with open(log, "w+") as out:
            done = subprocess.run([SCRIPT, command, self.folder, *args], stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=subprocess.STDOUT, timeout=timeout, check=False)
            out.seek(0)
            text = out.read()
        log.unlink()
        if done.returncode:
            raise RuntimeError(f"deploy/servers.sh {command} {' '.join(args)}: exit {done.returncode}\n{text}")
        return text

    def start(self, *names):
        """Starts all, or those named, on the addresses they had before; waits until they answer."""
        self._call("start", *names)
        self.env = dict(line.split("=", 1) for line in (self.folder / "env").read_text().splitlines())
        self.kafka = self.env["KAFKA"]
        self.registry = self.env["REGISTRY"]
        self.dsn_file = self.env["DSN_FILE"]
        self.dsn = Path(self.dsn_file).read_text().strip()

    def stop(self, *names):
        self._call("stop", *names)

    def kill(self, *names):
        """SIGKILL; start(name) brings it back with its data."""
        self._call("kill", *names)

    def restart(self, name):
        self.stop(name)
        self.start(name)

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text().split()[0])

    @contextmanager
    def frozen(self, name):
        """The server hangs (SIGSTOP, with its children) for the length of the block: connected, but no answer."""
        pids = [self.pid(name)]
        pids += map(int, Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text().split())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass

    def remove(self):
        self._producer = None
        self._call("remove")

    # --- Kafka ---

    def topic(self, name, partitions=1, **config):
        """Creates a topic; settings with _ for . (cleanup_policy="compact"). Returns its name."""
        admin = AdminClient({"bootstrap.servers": self.kafka})
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        for done in admin.create_topics([NewTopic(name, partitions, 1, config=settings)]).values():
            done.result(30)
        return name

    def delete_topic(self, name):
        admin = AdminClient({"bootstrap.servers": self.kafka})
        for done in admin.delete_topics([name]).values():
            done.result(30)

    def produce(self, topic, messages):
        """Writes messages in order and waits for the broker's word: each a value, a (key, value), or a dict of
        confluent_kafka's produce() arguments (key, value, partition, timestamp, headers)."""
        if self._producer is None:
            self._producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 5, "acks": "all"})
        failed = []

        def delivered(error, _):
            if error is not None:
                failed.append(str(error))

        for message in messages:
            if isinstance(message, tuple):
                message = {"key": message[0], "value": message[1]}
            elif not isinstance(message, dict):
                message = {"value": message}
            self._producer.produce(topic, on_delivery=delivered, **message)
            self._producer.poll(0)
        left = self._producer.flush(60)
        assert not failed and not left, f"{topic}: {len(failed)} refused {failed[:3]}, {left} not delivered"

    def consume(self, topic, isolation="read_committed", timeout_s=60):
        """All messages of the topic up to its present end, partition by partition, as Message."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "tests", "enable.auto.commit": False,
                             "isolation.level": isolation, "enable.partition.eof": True})
        try:
            partitions = consumer.list_topics(topic, 30).topics[topic].partitions
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
            found, open_ends = [], set(partitions)
            end = time.monotonic() + timeout_s
            while open_ends:
                assert time.monotonic() < end, f"{topic}: no end of partitions {open_ends} after {timeout_s} s"
                for message in consumer.consume(500, 0.1):
                    if message.error() is None:
                        found.append(Message(message.topic(), message.partition(), message.offset(),
                                             message.timestamp()[1], message.key(), message.value(),
                                             dict(message.headers() or [])))
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        open_ends.discard(message.partition())
                    else:
                        raise AssertionError(str(message.error()))
            return sorted(found, key=lambda m: (m.partition, m.offset))
        finally:
            consumer.close()

    def console_consume(self, topic, *options, max_messages=None, timeout_s=5):
        """What the broker's own console consumer prints, read_committed, from the beginning, line by line; ends
        after max_messages, or when nothing more came for timeout_s."""
        if max_messages is not None:
            options += ("--max-messages", str(max_messages))
        done = subprocess.run([SCRIPT, "consume", self.folder, topic, "--timeout-ms", str(int(timeout_s * 1000)),
                               *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout_s + 120, text=True, check=False)
        # on its own time-out it says so on stderr and exits 0 or 1, by version
        assert done.returncode == 0 or "TimeoutException" in done.stderr, done.stderr
        return done.stdout.splitlines()

    # --- registry ---

    def registry_call(self, path, body=None):
        """JSON of the registry's answer to GET path, or to POST path with body."""
        request = urllib.request.Request(self.registry + path)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"registry {path}: {error.code} {error.read().decode()}") from error

    def register_schema(self, subject, schema):
        """Registers an Avro schema (text, or anything that JSON takes) and returns its id."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.registry_call(f"/subjects/{subject}/versions", {"schema": text})["id"]

    def schema_by_id(self, schema_id):
        return self.registry_call(f"/schemas/ids/{schema_id}")["schema"]

    def decode_avro(self, value, _parsed={}):
        """Record of a message in the registry's wire format, by the writer's schema."""
        magic, schema_id = struct.unpack(">bI", value[:5])
        assert magic == 0, f"wire format starts with {magic}"
        key = (self.registry, schema_id)
        if key not in _parsed:
            _parsed[key] = avro.schema.parse(self.schema_by_id(schema_id))
        return avro.io.DatumReader(_parsed[key]).read(avro.io.BinaryDecoder(io.BytesIO(value[5:])))

    # --- PostgreSQL ---

    def sql(self, query, args=None, dsn=None):
        """Runs one statement and commits; rows as tuples, [] for a statement without result."""
        connection = psycopg2.connect(dsn or self.dsn)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query, args)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def database(self, name):
        """Makes an empty database; returns its DSN and a file that holds it."""
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        try:
            connection.cursor().execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()
        dsn = self.dsn.replace("dbname=netzpuls", f"dbname={name}")
        path = self.folder / f"dsn.{name}"
        path.touch(0o600)
        path.write_text(dsn + "\n")
        return dsn, path


def encode_avro(schema_id, schema, record):
    """Message value in the registry's wire format, written by python3-avro."""
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, schema_id))
    parsed = schema if isinstance(schema, avro.schema.Schema) else avro.schema.parse(
        schema if isinstance(schema, str) else json.dumps(schema))
    avro.io.DatumWriter(parsed).write(record, avro.io.BinaryEncoder(out))
    return out.getvalue()


class Program:
    """A running netzpuls; its log is in a file, so that it never blocks on a full pipe."""

    def __init__(self, args, log, env=None, binary=BINARY):
        self.log = Path(log)
        self._out = open(self.log, "ab")
        self.process = subprocess.Popen([binary, *map(str, args)], stdin=subprocess.DEVNULL, stdout=self._out,
                                        stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})

    @property
    def text(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def wait_for_log(self, text, timeout_s=30):
        def seen():
            assert self.alive() or text in self.text, f"exit {self.process.returncode} before '{text}':\n{self.text}"
            return text in self.text
        wait_for(seen, f"'{text}' in {self.log}", timeout_s)

    def wait(self, timeout_s=60):
        """Exit status; negative is a signal."""
        try:
            return self.process.wait(timeout_s)
        finally:
            self._out.flush()

    def stop(self, timeout_s=60):
        """SIGTERM, and the exit status of the drain."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self):
        if self.alive():
            self.process.kill()
        return self.wait()

    def close(self):
        self.kill()
        self._out.close()


def run_netzpuls(*args, timeout=120, env=None, binary=BINARY, **options):
    """Runs a command to its end; CompletedProcess with text stdout and stderr, whatever the exit status."""
    return subprocess.run([binary, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, text=True, check=False,
                          env={**os.environ, **(env or {})}, **options)


def data_folder():
    """Recorded data, or None where this machine has none."""
    folder = Path(os.environ.get("NP_DATA", ROOT.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def setup_is_done():
    return (Path(os.environ.get("NP_STATE", ROOT / ".state")) / "kafka").is_dir() and shutil.which("java")
