"""Fixtures of the integration and end-to-end tests. The servers start once, with the first test that wants them."""

import itertools
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from servers import BINARY, Program, Servers, data_folder, run_netzpuls, setup_is_done  # noqa: E402

_numbers = itertools.count(1)


def pytest_configure(config):
    # a terminated run must end its fixtures too, or the servers would stay
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@pytest.fixture(scope="session")
def servers():
    """Broker, registry and database; shared by all tests, so use names of your own (fixture name)."""
    if not setup_is_done():
        pytest.fail("no servers here: run deploy/setup.sh test first")
    folder = Path(tempfile.mkdtemp(prefix="netzpuls-tests."))
    folder.chmod(0o711)
    servers = Servers(folder / "servers")
    try:
        servers.start()
        yield servers
    finally:
        servers.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def name(request):
    """A word for topics, groups and databases that no other test uses."""
    word = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().replace("test_", ""))[:28].strip("-")
    return f"{word}-{next(_numbers)}"


@pytest.fixture
def database(servers, name):
    """An empty database of the test's own: (dsn, file with the dsn)."""
    return servers.database(name)


@pytest.fixture
def netzpuls():
    """Runs the program to its end: netzpuls("check", file).returncode, .stdout, .stderr"""
    assert BINARY.exists(), f"{BINARY} is not built"
    return run_netzpuls


@pytest.fixture
def start_netzpuls(tmp_path):
    """Starts the program and leaves it running: start_netzpuls("run", file) -> Program; killed after the test."""
    assert BINARY.exists(), f"{BINARY} is not built"
    running = []

    def start(*args, env=None, binary=BINARY):
        program = Program(args, tmp_path / f"netzpuls-{len(running)}.log", env, binary)
        running.append(program)
        return program

    yield start
    for program in running:
        program.close()


@pytest.fixture(scope="session")
def data():
    """Folder of recorded data; the test is skipped where it is missing."""
    folder = data_folder()
    if folder is None:
        pytest.skip("no recorded data (NP_DATA)")
    return folder
