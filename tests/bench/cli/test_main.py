import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import commands
from bench.cli.commands import parse_roots
from bench.cli.main import cli, main
from bench.errors import EXIT_CODES, SuiteError
from medseg.models import MODELS
from medseg.training.outcome import StorageError

README = Path(__file__).resolve().parents[3] / "README.md"


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_command_line_imports_neither_torch_nor_ray():
    heavy = ("torch", "ray", "optuna", "accelerate", "pandas", "scipy")
    code = f"import sys, bench.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    assert python(code).strip() == "[]"


def test_planning_imports_neither_torch_nor_ray():
    code = (
        "import sys, bench.cli.commands, bench.plan.make, bench.suite.load, bench.results.store, medseg.data; "
        "print([m for m in ('torch', 'ray', 'accelerate') if m in sys.modules])"
    )
    assert python(code).strip() == "[]"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device", "x"), StorageError("x: disk full")])
def test_a_disk_that_fails_is_one_line_and_exit_code_4(error, monkeypatch, capsys):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(commands, "run_command", fail)
    monkeypatch.setattr(sys, "argv", ["bench", "run", "suite.yaml"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 4
    assert capsys.readouterr().err == f"bench: {error}; what was computed is kept, the same command goes on\n"


def test_help_names_every_command_and_exit_code():
    output = CliRunner().invoke(cli, ["--help"]).output
    for word in ("run", "plan", "leaderboard", "list", "show", "check", "130 interrupted"):
        assert word in output


def test_the_readme_documents_every_exit_code():
    rows = README.read_text()
    for code in EXIT_CODES:
        assert f"| {code} |" in rows


@pytest.mark.parametrize("kind", ["models", "losses", "tasks", "metrics"])
def test_list_names_what_a_suite_can_use(kind, capsys):
    result = CliRunner().invoke(cli, ["list", kind])
    assert result.exit_code == 0
    if kind == "models":
        assert all(name in result.output for name in MODELS.names())


def test_roots_are_read(tmp_path):
    assert parse_roots((f"acdc={tmp_path}", "covid=/a=b")) == {"acdc": tmp_path, "covid": Path("/a=b")}


@pytest.mark.parametrize("pair", ["acdc", "=path", "acdc="])
def test_a_malformed_root_is_one_line(pair):
    with pytest.raises(SuiteError, match="expected NAME=PATH"):
        parse_roots((pair,))
