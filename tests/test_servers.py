"""What the other tests take for granted about the servers they run against."""

import json
from pathlib import Path

import psycopg2
import pytest
from confluent_kafka import Producer

from servers import encode_avro, wait_for

WAVE = {"type": "record", "name": "Wave", "fields": [{"name": "meter", "type": "string"},
                                                     {"name": "u", "type": {"type": "array", "items": "float"}}]}


def write_transaction(servers, topic, values, commit):
    producer = Producer({"bootstrap.servers": servers.kafka, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.flush(30)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def listening_addresses(pid):
    """Local addresses on which the process listens, as the kernel prints them in hexadecimal."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            field = line.split()
            if field[3] == "0A" and f"socket:[{field[9]}]" in sockets:
                found.append(field[1].split(":")[0])
    return found


@pytest.mark.parametrize("server", ["kafka", "registry", "postgres"])
def test_a_server_listens_on_the_loopback_address_only(servers, server):
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    found = listening_addresses(servers.pid(server))
    assert found and set(found) <= loopback, f"{server} listens on {found}"


def test_the_console_consumer_shows_committed_messages_and_no_aborted_ones(servers, name):
    topic = servers.topic(name)
    write_transaction(servers, topic, ["aborted"], commit=False)
    write_transaction(servers, topic, ["one", "two"], commit=True)
    assert servers.console_consume(topic, max_messages=2) == ["one", "two"]
    assert [m.value for m in servers.consume(topic)] == [b"one", b"two"]
    assert [m.value for m in servers.consume(topic, "read_uncommitted")] == [b"aborted", b"one", b"two"]


def test_key_headers_partition_and_time_come_back_as_they_were_written(servers, name):
    topic = servers.topic(name, 3)
    servers.produce(topic, [{"key": b"k", "value": b"v", "partition": 2, "timestamp": 1700000000123,
                             "headers": {"np.reason": b"because"}}])
    (message,) = servers.consume(topic)
    assert (message.partition, message.key, message.value, message.timestamp, message.headers) == \
        (2, b"k", b"v", 1700000000123, {"np.reason": b"because"})


def test_a_killed_broker_comes_back_with_what_was_acknowledged(servers, name):
    topic = servers.topic(name)
    servers.produce(topic, [b"before"])
    servers.kill("kafka")
    servers.start("kafka")
    servers.produce(topic, [b"after"])
    assert [m.value for m in servers.consume(topic)] == [b"before", b"after"]


def test_a_killed_database_comes_back_with_what_was_committed_and_nothing_else(servers, database):
    dsn, _ = database
    servers.sql("CREATE TABLE t (n int)", dsn=dsn)
    servers.sql("INSERT INTO t VALUES (1)", dsn=dsn)
    half = psycopg2.connect(dsn)
    half.cursor().execute("INSERT INTO t VALUES (2)")
    servers.kill("postgres")
    with pytest.raises(psycopg2.OperationalError):
        servers.sql("SELECT 1")
    servers.start("postgres")
    assert servers.sql("SELECT n FROM t", dsn=dsn) == [(1,)]


def test_a_frozen_database_answers_again_after_the_thaw(servers):
    with servers.frozen("postgres"):
        with pytest.raises(psycopg2.OperationalError):
            servers.sql("SELECT 1", dsn=servers.dsn + " connect_timeout=2")
    assert wait_for(lambda: servers.sql("SELECT 1"), "an answer") == [(1,)]


def test_a_wrong_database_password_is_refused(servers):
    password = servers.env["PGPASSWORD"]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        servers.sql("SELECT 1", dsn=servers.dsn.replace(password, "wrong"))


def test_the_registry_gives_one_id_per_schema_and_messages_decode_by_it(servers, name):
    first = servers.register_schema(f"{name}-value", WAVE)
    assert servers.register_schema(f"{name}-value", json.dumps(WAVE)) == first
    record = {"meter": "m1", "u": [1.5, -2.0]}
    assert servers.decode_avro(encode_avro(first, WAVE, record)) == record
