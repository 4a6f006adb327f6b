"""What `bench export` says; what it writes is tested in tests/bench/results/test_export.py."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.cli import export_command as module
from bench.cli.main import main
from bench.results.export import Exported
from bench.results.scan import Find
from bench.results.store import Store

NAMES = "It holds names of cases, patients and hosts as they are; --deidentify takes them out."


@pytest.fixture
def export(tmp_path, monkeypatch, capsys):
    """Runs `bench export run ...` with a given end; returns exit code, lines, and what was asked."""
    (tmp_path / "run" / "trials").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def run(done: Exported, *arguments: str) -> tuple[int, list[str], list]:
        asked = []

        def fake(*given):
            asked.append(given)
            Path("out").write_text("x")
            return done

        monkeypatch.setattr(module, "export", fake)
        monkeypatch.setattr(sys, "argv", ["bench", "export", "run", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code, (output.out + output.err).splitlines(), asked

    return run


def exported(**more) -> Exported:
    rows = Counter({"trials": 1, "cases": 720, "curves": 1, "runs": 1, "studies": 4, "env": 1})
    return Exported(rows=rows, **more)


@pytest.mark.parametrize("style", ["csv", "parquet", "bundle"])
def test_rows_are_counted_and_names_are_told_of(export, style):
    code, lines, _ = export(exported(), "-o", "out", "--format", style)
    assert code == 0
    assert lines[0] == (
        "Wrote 1 trial, 720 rows of cases, 1 row of curves, 1 run, 4 studies, 1 environment to out."
    )
    assert lines[-1] == NAMES


def test_a_copy_of_a_de_identified_one_holds_no_names(export):
    _, lines, _ = export(exported(deidentified=True), "-o", "out", "--format", "csv")
    assert lines[1:] == ["It is de-identified, as what it was made of: it has no more names than that."]


def test_what_the_look_is_worth_is_said(export):
    finds = tuple(Find(word, "", word, {("a", "b"), ("c", "d")}) for word in ("dice", "unet"))
    done = exported(deidentified=True, known=20, patients=48, short=3, allowed=finds)
    _, lines, _ = export(
        done, "-o", "out", "--format", "csv", "--deidentify", "--allow", "dice", "--allow", "unet"
    )
    assert lines[1:] == [
        "Allowed: dice (2 places), unet (2 places).",
        "De-identified and looked through: nothing else was found.",
        "20 of 48 patients are known to this check; it cannot find the names of the others, which were only trained "
        "on.",
        "3 names are too short or too common to be looked for (fewer than 4 letters or 5 digits).",
        "The salt is thrown away.",
    ]
    _, lines, _ = export(exported(known=9, patients=9), "-o", "out", "--format", "csv", "--deidentify")
    assert lines[1:3] == [
        "De-identified and looked through: nothing was found.",
        "9 of 9 patients are known to this check.",
    ]
    _, lines, _ = export(exported(known=1, short=1), "-o", "out", "--format", "csv", "--deidentify")
    assert lines[2:4] == [
        "1 patient is known to this check, of how many the suite does not say; it cannot find the names of others, "
        "which were only trained on.",
        "1 name is too short or too common to be looked for (fewer than 4 letters or 5 digits).",
    ]


def test_a_salt_that_others_can_read_is_told(export):
    arguments = ("-o", "out", "--format", "csv", "--deidentify", "--salt-file", "salt")
    _, lines, _ = export(exported(known=1, patients=1), *arguments)
    assert lines[3:] == ["The salt is in salt; keep it secret."]
    assert Path("salt").stat().st_mode & 0o077 == 0
    Path("salt").chmod(0o644)
    _, lines, _ = export(exported(known=1, patients=1), *arguments)
    assert lines[4:] == ["salt: others on this machine can read this salt; chmod 600 salt"]


def test_no_salt_is_made_for_what_is_de_identified(export):
    Store("run").write_suite({"suite": "x", "pseudonyms": "0f"})
    code, lines, asked = export(
        exported(), "-o", "out", "--format", "csv", "--deidentify", "--salt-file", "salt"
    )
    assert (code, asked) == (4, [])
    assert lines == ["bench: run: these results are de-identified already; export them without --deidentify"]
    assert not Path("salt").exists()
