import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import run_command
from bench.cli.commands import parse_roots
from bench.cli.main import cli, main
from bench.errors import EXIT_CODES, EngineError, SuiteError
from bench.plan import probe
from bench.plan.probe import Answer
from bench.results.bucket_errors import UnreachableError
from medseg.models import MODELS
from medseg.training.outcome import StorageError
from medseg.training.probe import answer

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


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (OSError(28, "No space left on device", "x"), "x: No space left on device", 4),
        (OSError(30, "Read-only file system"), "Read-only file system", 4),
        (UnreachableError("cannot read s3://b/x: gone", "s3://b/x"), "cannot read s3://b/x: gone", 4),
        (OSError("[Errno of another kind]"), "[Errno of another kind]", 4),
        (StorageError("x: disk full"), "x: disk full", 4),
        (EngineError("Ray's node on this machine died"), "Ray's node on this machine died", 6),
    ],
)
def test_what_fails_under_a_run_is_one_line_and_an_exit_code(error, said, code, monkeypatch, capsys):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(run_command, "run_command", fail)
    monkeypatch.setattr(sys, "argv", ["bench", "run", "suite.yaml"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == code
    assert capsys.readouterr().err == f"bench: {said}; what was computed is kept, the same command goes on\n"


def test_a_suite_that_cannot_run_here_is_told_no_way_to_go_on(monkeypatch, capsys):
    def fail(*arguments):
        raise EngineError("a trial of unet needs 64 CPU cores", goes_on=False)

    monkeypatch.setattr(run_command, "run_command", fail)
    monkeypatch.setattr(sys, "argv", ["bench", "run", "suite.yaml"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 6
    assert capsys.readouterr().err == "bench: a trial of unet needs 64 CPU cores\n"


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


SMALL = """
suite: small
tasks: [{name: phantom-lung, phantom: {patients: 6}, image_size: [32, 32], split: {folds: 2}}]
models: [{name: unet, options: {features: [4, 8]}}]
losses: [ce, dice]
train: {epochs: 3, steps_per_epoch: 5, batch_size: 2}
claims: [{id: c, task: phantom-lung, better: {loss: ce}, than: {loss: dice}}]
"""


def test_a_plan_says_what_it_adds_up_to_at_both_scales(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "_ask", lambda requests: [Answer(**answer(r.to_json())) for r in requests])
    (tmp_path / "small.yaml").write_text(SMALL)
    monkeypatch.setenv("COLUMNS", "120")
    whole = CliRunner().invoke(cli, ["plan", str(tmp_path / "small.yaml")])
    assert whole.exit_code == 0, whole.output
    assert "final: 2 trials, 6 epochs, 30 steps, 60 slices seen\na trial takes 1 core, 2 GB\n" in whole.output
    small = CliRunner().invoke(cli, ["plan", str(tmp_path / "small.yaml"), "--scale", "smoke"])
    assert small.exit_code == 0, small.output
    assert small.output.startswith("smoke: generated data; tiny networks; 2 of 2 studies; 1 final trial each")
    assert "final: 2 trials, 4 epochs, 8 steps, 32 slices seen" in small.output
