"""What `netzpuls` says about itself and about mistakes on the command line."""

import re

import pytest


def commands(netzpuls):
    lines = netzpuls("help").stdout.splitlines()
    return [line.split()[0] for line in lines if re.match(r"  \w", line) and line.split()[0] != "help"]


def test_help_lists_the_commands_and_the_exit_codes(netzpuls):
    shown = netzpuls("help")
    assert shown.returncode == 0 and shown.stderr == ""
    assert {"check", "operators", "version"} <= set(commands(netzpuls))
    assert "0 ok; 1 a mistake" in shown.stdout
    assert netzpuls("--help").stdout == shown.stdout


def test_every_command_has_short_and_long_help_on_stdout(netzpuls):
    for command in commands(netzpuls):
        one, other = netzpuls("help", command), netzpuls(command, "--help")
        assert one.returncode == other.returncode == 0
        assert one.stdout == other.stdout
        assert one.stdout.startswith(f"usage: netzpuls {command}")
        assert one.stderr == other.stderr == ""


@pytest.mark.parametrize("arguments, said", [
    ((), "usage: netzpuls COMMAND"),
    (("chekc",), 'netzpuls: there is no command "chekc" (did you mean "check"?); `netzpuls help` '),
    (("frobnicate",), 'netzpuls: there is no command "frobnicate"; `netzpuls help` lists them\n'),
    (("help", "chekc"), 'netzpuls: there is no command "chekc" (did you mean "check"?); `netzpuls help` '),
    (("check", "--shcema"), 
     "netzpuls check: unknown flag --shcema (did you mean --schema?); `netzpuls help check` lists them\n"),
    (("check", "-x"), "netzpuls check: unknown flag -x"),
    (("check", "--schema=maybe"), 'netzpuls check: --schema is "maybe"; allowed: true or false\n'),
    (("check",), "netzpuls check: a pipeline file is missing"),
    (("check", "a", "b"), "netzpuls check: more than it takes\nusage: netzpuls check"),
    (("check", "/nowhere/p.yaml"), "/nowhere/p.yaml:1:1: cannot read /nowhere/p.yaml: No such "),
    (("operators", "rsm"), 'netzpuls operators: there is no operator "rsm" (did you mean "rms"?)'),
    (("version", "x"), "netzpuls version: more than it takes\n"),
])
def test_a_mistake_on_the_command_line_is_told_on_stderr_with_exit_code_1(netzpuls, arguments, said):
    result = netzpuls(*arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(said), result.stderr


def test_every_operator_has_its_reference(netzpuls):
    for line in netzpuls("operators").stdout.splitlines():
        name = line.split()[0]
        shown = netzpuls("operators", name)
        assert shown.returncode == 0
        assert shown.stdout.startswith(f"{name}: ")
        assert "\nOptions:\n" in shown.stdout and "\nResult columns:\n" in shown.stdout


def test_version_names_the_libraries_and_what_the_build_can_do(netzpuls):
    shown = netzpuls("version").stdout
    assert re.match(r"netzpuls \d+\.\d+\.\d+\n", shown)
    for word in ("yaml-0.1 ", "kernels:", "operators: rms", "parts: "):
        assert word in shown
    assert netzpuls("--version").stdout == shown


def test_output_that_cannot_be_written_is_a_failure(netzpuls):
    import subprocess
    from servers import BINARY
    with open("/dev/full", "w") as full:
        result = subprocess.run([BINARY, "operators"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 2
    assert result.stderr == "netzpuls: cannot write to standard output: No space left on device\n"
