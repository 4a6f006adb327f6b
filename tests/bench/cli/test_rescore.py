"""What `bench rescore` says, and its exit codes; what it does is tested in tests/bench/run/test_rescore.py."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.cli import rescore_command as module
from bench.cli.main import main
from bench.run.rescore import Options, Outcome, Summary
from bench.run.rescore_metrics import Asked

NEW = Outcome("acdc: unet, fold 0, seed 0", Counter({"assd/v1": 1200, "nsd/tau=2/v1": 600}), 10)
OLD = Outcome("acdc: unet, fold 0, seed 1", same=20)
WRONG = Outcome(
    "acdc: unet, fold 0, seed 2", conflicts=tuple(f"test p{n} LV: dice/v1 is 1, now 0" for n in range(7))
)
BROKEN = Outcome("acdc: unet, fold 0, seed 3", problem="x.nii.gz: cannot be read")


@pytest.fixture
def rescore(tmp_path, monkeypatch, capsys):
    """Runs `bench rescore ...` with a given end; returns exit code, output, and what was asked."""
    (tmp_path / "mine" / "trials").mkdir(parents=True)

    def run(summary: Summary, *arguments) -> tuple[int, str, tuple[Path, Options]]:
        asked = []

        def fake(folder, options, watch):
            asked.append((folder, options))
            return summary

        monkeypatch.setattr(module, "rescore", fake)
        monkeypatch.setattr(sys, "argv", ["bench", "rescore", "mine", "--results", str(tmp_path), *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code, output.out + output.err, asked[0] if asked else ()

    return run


def test_what_was_added_is_counted_by_definition(rescore, tmp_path):
    code, out, _ = rescore(Summary((NEW, OLD), 3, ("1 of 3 final trials kept no predictions",)))
    assert code == 0
    assert out.splitlines() == [
        f"Added 1,800 values to 1 of 3 final trials in {tmp_path}/mine:",
        "  assd/v1: 1,200",
        "  nsd/tau=2/v1: 600",
        "1 of 3 final trials kept no predictions",
    ]
    assert rescore(Summary((NEW,), 1, ()), "--dry-run")[1].startswith(
        "Would add 1,800 values to 1 of 1 final trials"
    )


def test_nothing_to_do_is_said(rescore, tmp_path):
    code, out, _ = rescore(Summary((OLD, OLD), 2, ()))
    assert code == 0
    assert out == (
        f"Nothing to do: 40 values in {tmp_path}/mine measured again, all are there with the same numbers.\n"
    )


def test_conflicts_and_problems_are_exit_code_1(rescore):
    code, out, _ = rescore(Summary((NEW, WRONG, BROKEN), 3, ()))
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith(
        "acdc: unet, fold 0, seed 2: 7 values are not what the same definition gives now"
    )
    assert lines[1] == "  test p0 LV: dice/v1 is 1, now 0"
    assert lines[6] == "  and 2 others"
    assert lines[7] == "acdc: unet, fold 0, seed 3: x.nii.gz: cannot be read"
    assert lines[8].startswith("Added 1,800 values")
    assert "Nothing to do" not in rescore(Summary((WRONG,), 1, ()))[1]


def test_cases_that_could_not_be_measured_in_full_are_said(rescore):
    part = Outcome(
        "acdc: unet, fold 0, seed 4", Counter({"ece/v1": 9}), failures=("p1: no ece", "p2: no ece")
    )
    code, out, _ = rescore(Summary((part,), 1, ()))
    assert code == 0
    first, second = out.splitlines()[:2]
    assert first == "acdc: unet, fold 0, seed 4: 2 cases could not be measured in full, first p1: no ece"
    assert second.startswith("Added 9 values")
    both = Outcome("x", conflicts=WRONG.conflicts, failures=("p1: no ece",))
    code, out, _ = rescore(Summary((both,), 1, ()))
    assert code == 1
    assert out.startswith(
        "x: 1 case could not be measured in full, first p1: no ece\nx: 7 values are not what "
    )


def test_what_is_typed_is_passed_on(rescore, tmp_path):
    typed = (
        "--metrics",
        "assd,nsd",
        "--tolerance-mm",
        "LV=2,RV=3",
        "--data",
        "acdc=/x",
        "--dry-run",
        "-j",
        "3",
    )
    _, _, (folder, options) = rescore(Summary((OLD,), 1, ()), *typed)
    assert folder.folder == tmp_path / "mine"
    assert options.asked == Asked(("assd", "nsd"), {"LV": 2.0, "RV": 3.0})
    assert options.roots == {"acdc": Path("/x")}
    assert (options.dry_run, options.processes) == (True, 3)


def test_wrong_words_and_folders_are_one_line(rescore, tmp_path):
    code, out, _ = rescore(Summary((OLD,), 1, ()), "--metrics", "dise")
    assert (code, out.count("\n")) == (2, 1)
    assert "did you mean 'dice'?" in out
    (tmp_path / "mine" / "trials").rmdir()
    code, out, _ = rescore(Summary((OLD,), 1, ()))
    assert (code, out) == (4, "bench: mine: no results there\n")
