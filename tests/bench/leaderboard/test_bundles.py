"""`bench export`, and `bench leaderboard` of what it wrote: the same tables, and clear words where it is damaged."""

import hashlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.cli.main import main
from bench.results.archive import Archive

Bench = Callable[..., tuple[int, str]]
RUN = "results/quick"


@pytest.fixture
def bench(
    world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    """Runs `bench ...` beside `results/quick`; returns exit code and output."""
    monkeypatch.chdir(tmp_path)
    world.final("unet", quality=0.8, node="smith-pc", code="0f" * 32)
    world.final("resunet", quality=0.7, code="0f" * 32)
    world.store.write_suite({"suite": "quick", "plan": "0f", "tasks": [{"name": "lung", "unit": "mm"}]})

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        output = capsys.readouterr()
        return code, output.out + output.err

    return run


def test_a_bundle_gives_the_same_leaderboard(bench: Bench) -> None:
    code, said = bench("export", RUN, "-o", "q.zip", "--format", "bundle")
    total = hashlib.sha256(Path("q.zip").read_bytes()).hexdigest()
    assert code == 0
    assert said.splitlines() == [
        "Wrote 2 trials, 64 rows of cases to q.zip.",
        f"SHA-256 {total}",
        "It holds names of cases, patients and hosts as they are; --deidentify takes them out.",
    ]
    for style in ("csv", "json"):
        expected = bench("leaderboard", RUN, "--format", style)
        assert expected[0] == 0
        assert bench("leaderboard", "q.zip", "--format", style) == expected
    assert bench("export", RUN, "-o", "q.zip", "--format", "bundle") == (
        4,
        "bench: q.zip: is there already; choose another name, or remove it first\n",
    )


def test_a_deidentified_bundle_ranks_the_same(bench: Bench) -> None:
    bench("export", RUN, "-o", "q.zip", "--format", "bundle")
    options = ("--deidentify", "--salt-file", "salt")
    code, said = bench("export", "q.zip", "-o", "d.zip", "--format", "bundle", *options)
    assert code == 0
    assert "De-identified and looked through: nothing was found.\n" in said
    assert said.endswith("The salt is in salt; keep it secret.\n")
    text = Archive(Path("d.zip")).read("trials/compact-000000.parquet")
    assert b"smith" not in text
    one, two = (
        pd.read_csv(io.StringIO(bench("leaderboard", name, "--format", "csv")[1])) for name in (RUN, "d.zip")
    )
    pd.testing.assert_frame_equal(one[["entry", "rank", "p"]], two[["entry", "rank", "p"]])


def test_damage_is_told_and_read_only_is_too(bench: Bench) -> None:
    bench("export", RUN, "-o", "q.zip", "--format", "bundle")
    content = bytearray(Path("q.zip").read_bytes())
    content[content.index(b"PAR1") + 40] ^= 1
    Path("d.zip").write_bytes(bytes(content))
    code, said = bench("leaderboard", "d.zip")
    assert code == 4
    assert said.startswith(
        "bench: d.zip: this bundle is damaged (Bad CRC-32 for file 'cases/compact-000000.parquet'"
    )
    Path("e.zip").write_bytes(bytes(content[:2000]))
    assert bench("leaderboard", "e.zip") == (
        4,
        "bench: e.zip: this bundle is damaged (File is not a zip file); get it anew from where it came\n",
    )
    code, said = bench("rescore", "q.zip", "--metrics", "assd")
    assert code == 4
    assert (
        "q.zip: a bundle cannot be written; `bench merge q.zip -o FOLDER` makes results of it that can"
        in said
    )
    code, said = bench("run", "suite.yaml", "--results", "q.zip")
    assert code == 2
    assert "q.zip is a bundle, which cannot be written; expected a folder or a URL" in said


def test_a_bundle_becomes_results_again(bench: Bench) -> None:
    bench("export", RUN, "-o", "q.zip", "--format", "bundle")
    code, said = bench("merge", "q.zip", "-o", "results/again")
    assert (code, said) == (0, "Merged 2 trials into results/again:\n  q.zip: 2\n")
    expected = bench("leaderboard", RUN, "--format", "csv")
    assert bench("leaderboard", "again", "--format", "csv") == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            (RUN, "-o", "x", "--format", "csv", "--salt-file", "s"),
            "--salt-file and --allow go with --deidentify",
        ),
        ((RUN, "-o", "x"), "Missing option '--format'"),
        (
            (RUN, "-o", "s3://b/x", "--format", "csv"),
            "expected a folder or a file on this machine, got 's3://b/x'",
        ),
        ((RUN, "--format", "csv"), "Missing option '-o' / '--output'"),
    ],
)
def test_options_that_do_not_fit_are_a_line(bench: Bench, arguments: tuple[str, ...], said: str) -> None:
    code, text = bench("export", *arguments)
    assert code == 2
    assert said in text
    assert not Path("x").exists()
