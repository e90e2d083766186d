"""The anomaly scores on the Numenta benchmark, by its own rule."""

import re
import subprocess
import sys

import pytest

from servers import BINARY

NAB_SCORES = BINARY.parent / "nab_scores"


@pytest.fixture
def nab(data):
    folder = data / "nab_half"
    if not folder.exists():
        pytest.skip(f"{folder} is missing")
    return folder


def write_scores(source, target, *warm_up):
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([NAB_SCORES, source, target, *warm_up], check=True)
    return target.read_text().splitlines()


def test_scores_reach_the_prototype_with_one_threshold_for_all_files(nab, tmp_path):
    files = sorted(nab.glob("*/*.csv"))
    assert len(files) == 31
    for file in files:
        write_scores(file, tmp_path / file.relative_to(nab))
    report = subprocess.run([sys.executable, nab / "score.py", tmp_path], capture_output=True, text=True, check=True)
    scores = {name.strip(): float(score) for name, score in re.findall(r"^(.{9}) +([0-9.]+) ", report.stdout, re.M)}
    print(report.stdout)
    assert scores["standard"] >= 66.4
    assert scores["low FP"] >= 56.4


def test_the_scores_of_a_prefix_are_the_prefix_of_the_scores(nab, tmp_path):
    for file in sorted(nab.glob("*/*.csv"))[::5]:
        lines = file.read_text().splitlines(keepends=True)
        half = tmp_path / "half.csv"
        half.write_text("".join(lines[: len(lines) // 2]))
        whole_scores = write_scores(file, tmp_path / "whole.scores", "300")
        half_scores = write_scores(half, tmp_path / "half.scores", "300")
        assert half_scores == whole_scores[: len(half_scores)], file
