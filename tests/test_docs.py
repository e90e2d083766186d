"""Every command and pipeline of README and docs is run: ```sh blocks are executed, ```NAME file=PATH blocks are written
first, in the order of the page. A block without a language is a picture or output. Pages may use the servers' addresses
$NP_KAFKA, $NP_REGISTRY and the file $NP_STATE/dsn, as the quickstart sets them."""

import os
import re
import subprocess

import pytest
from servers import BINARY, ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.M | re.S)


def blocks(page):
    return BLOCK.findall(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_pipeline_of_the_page_works(page, servers, tmp_path):
    env = {**os.environ, "PATH": f"{BINARY.parent}:{os.environ['PATH']}", "NP_KAFKA": servers.kafka,
           "NP_REGISTRY": servers.registry, "NP_STATE": str(servers.folder), "NP_SOURCE": str(ROOT)}
    for language, file, text in blocks(page):
        if file:
            (tmp_path / file).write_text(text)
            if language == "yaml":
                done = subprocess.run([BINARY, "check", file], cwd=tmp_path, env=env, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
        elif language == "sh":
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        else:
            assert language in ("c", "cmake", "sql"), f"{page.name}: a {language} block that nothing runs"


def test_the_readme_holds_the_two_commands_and_a_pipeline_that_runs():
    page = (ROOT / "README.md").read_text()
    assert "deploy/quickstart" in page and "tests/run" in page
    assert [file for _, file, _ in blocks(ROOT / "README.md") if file], "no pipeline in the README"
