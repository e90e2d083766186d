"""The JSON Schema of `netzpuls check --schema`: valid itself, and of one mind with `netzpuls check`."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

EXAMPLE = Path(__file__).resolve().parents[1] / "deploy" / "pipelines" / "feeder.yaml"

# an edit of the example, as (path, value); value None removes the key
REFUSED = [
    (("pipelin",), "x"),
    (("pipeline",), None),
    (("kafka", "broker"), "x"),
    (("inputs", "waves", "format"), "protobuf"),
    (("inputs", "waves", "lateness"), "2"),
    (("inputs", "waves", "time"), None),
    (("inputs", "waves", "channels"), []),
    (("inputs", "Waves"), {"topic": "x", "time": "t"}),
    (("steps", "levels", "operator"), "rsm"),
    (("steps", "levels", "window"), None),
    (("steps", "levels", "widow"), "1s"),
    (("steps", "overvolt", "window"), "1s"),
    (("steps", "overvolt", "above"), True),
    (("steps", "odd", "alarms"), "1 per fortnight"),
    (("steps", "spectra", "function"), "hamm"),
    (("steps", "spectra", "peaks"), 2.5),
    (("steps", "spectra", "bands"), {"low": "45"}),
    (("outputs", "postgres", "dsn"), "host=x"),
    (("outputs", "topics", "odd"), {"format": "json"}),
    (("run",), {"memory": 64}),
]
ALLOWED = [
    (("inputs", "waves", "time"), "t0"),
    (("inputs", "waves", "rate"), 5120),
    (("inputs", "waves", "rate"), "12.8kHz"),
    (("inputs", "waves", "lateness"), "${NP_LATENESS}"),
    (("steps", "spectra", "hop"), "100ms"),
    (("steps", "overvolt", "above"), -1.5),
    (("kafka", "properties"), {"sasl.password": {"file": "secret"}, "fetch.max.bytes": 1000}),
    (("run",), {"memory": "64MiB", "lanes": 2}),
]


def edited(document, path, value):
    document = copy.deepcopy(document)
    at = document
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


@pytest.fixture
def validator(netzpuls):
    schema = json.loads(netzpuls("check", "--schema").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.fixture
def example():
    return yaml.safe_load(EXAMPLE.read_text())


def test_the_example_pipeline_is_valid_by_the_schema(validator, example):
    assert [error.message for error in validator.iter_errors(example)] == []


@pytest.mark.parametrize("path, value", ALLOWED, ids=lambda x: json.dumps(x))
def test_what_check_allows_is_valid_by_the_schema(validator, example, path, value):
    assert [error.message for error in validator.iter_errors(edited(example, path, value))] == []


@pytest.mark.parametrize("path, value", REFUSED, ids=lambda x: json.dumps(x))
def test_what_check_refuses_is_marked_by_the_schema(
        validator, example, netzpuls, tmp_path, monkeypatch, path, value):
    document = edited(example, path, value)
    assert list(validator.iter_errors(document)) != []

    (tmp_path / "dsn").write_text("host=/tmp\n")
    for name, text in (("NP_KAFKA", "b:1"), ("NP_REGISTRY", "http://r"),
                       ("NP_DSN_FILE", str(tmp_path / "dsn")), ("NP_METRICS", "127.0.0.1:9464")):
        monkeypatch.setenv(name, text)
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(document))
    checked = netzpuls("check", file)
    assert checked.returncode == 1, checked.stdout
    assert checked.stderr.startswith(f"{file}:"), checked.stderr


def test_every_operator_has_its_own_options_in_the_schema(validator, netzpuls):
    listed = [line.split()[0] for line in netzpuls("operators").stdout.splitlines()]
    branches = validator.schema["properties"]["steps"]["additionalProperties"]["allOf"]
    assert [branch["if"]["properties"]["operator"]["const"] for branch in branches] == listed
    limit = branches[listed.index("limit")]["then"]["properties"]
    assert "above" in limit and "window" not in limit
