"""What whoever runs the program as a service sees: systemd's messages, /ready, /live and /metrics."""

import json
import socket
import urllib.error
import urllib.request

from servers import wait_for

PIPELINE = """
pipeline: {name}
kafka: {{ brokers: "{kafka}" }}
inputs:
  volts:
    topic: {name}.in
    format: json
    unit: V
    sensor: meter
    time: {{ field: time, unit: ms }}
    rate: 1
    channels: {{ U1: u }}
    lateness: 0s
steps:
  high: {{ operator: limit, input: volts, above: 253 }}
outputs:
  topics: {{ high: {{ topic: {name}.alerts, format: json }} }}
dead_letters: {{ topic: {name}.dead }}
run: {{ http: "127.0.0.1:{port}", commit: 100ms }}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def page(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_service_tells_how_it_is(servers, name, start_netzpuls, tmp_path):
    port = free_port()
    (tmp_path / "p.yaml").write_text(PIPELINE.format(name=name, kafka=servers.kafka, port=port))
    servers.topic(f"{name}.in", 1)
    told = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.setblocking(False)

        def heard(message):
            assert program.alive() or message == "STOPPING=1", program.text
            try:
                while True:
                    told.append(notify.recv(4096).decode())
            except BlockingIOError:
                pass
            return message in told

        program = start_netzpuls("run", tmp_path / "p.yaml",
                                 env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"})
        wait_for(lambda: heard("READY=1"), "READY=1", 60)
        wait_for(lambda: page(port, "/ready") == (200, "ready\n"), "/ready")
        assert page(port, "/live") == (200, "live\n")
        before = told.count("WATCHDOG=1")
        wait_for(lambda: heard("WATCHDOG=1") and told.count("WATCHDOG=1") > before + 1, "two answers to the watchdog")

        servers.produce(f"{name}.in", [{"value": json.dumps({"meter": "m", "time": i * 1000, "u": u}).encode()}
                                       for i, u in enumerate([230, 254, 230])])
        wait_for(lambda: len(servers.consume(f"{name}.alerts")) == 2, "an alert raised and cleared")
        status, metrics = page(port, "/metrics")
        assert status == 200
        assert "# TYPE netzpuls_" in metrics, metrics
        assert program.stop() == 0, program.text
        assert heard("STOPPING=1"), told
