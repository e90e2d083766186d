"""The README's first command, from another folder: with --once to its verdict, and without until Ctrl-C."""

import signal
import subprocess
import time

from servers import ROOT, setup_is_done, wait_for

QUICKSTART = ROOT / "deploy" / "quickstart"


def test_quickstart_once_finds_every_count_right(tmp_path):
    assert setup_is_done()
    done = subprocess.run([QUICKSTART, "--once"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "every count is right" in done.stdout
    assert "WRONG" not in done.stdout


def test_quickstart_runs_until_ctrl_c_and_stops_all_that_it_started(tmp_path):
    log = tmp_path / "log"
    with open(log, "w") as out:
        run = subprocess.Popen([QUICKSTART], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                               start_new_session=True,
                               # a run in the background ignores SIGINT, and a shell cannot trap what it was told to ignore
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        end = time.monotonic() + 200
        while " levels " not in log.read_text() or "newest levels" not in log.read_text():
            assert run.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        run.wait(90)
    finally:
        if run.poll() is None:
            run.send_signal(signal.SIGTERM)
            run.wait(90)
    assert "all stopped" in log.read_text(), log.read_text()[-2000:]
    wait_for(lambda: subprocess.run(["pgrep", "-g", str(run.pid)], stdout=subprocess.DEVNULL, check=False).returncode == 1,
             "all processes of the quickstart gone", 10)
