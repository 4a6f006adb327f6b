"""`bench figures`: files that are the same each time, their captions, and one line for what cannot be done."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest

from bench.cli.main import main
from bench.leaderboard.figures.files import CAPTIONS, FORMATS
from bench.leaderboard.palette import DARK, LIGHT

Ran = tuple[int, str, str]


@pytest.fixture(scope="module")
def results(shared_world: Any) -> Path:
    """Three entries on two tasks, one of which has two patients only."""
    for model, quality in (("unet", 0.9), ("resunet", 0.7), ("other", 0.5)):
        shared_world.final(model, task="lung", quality=quality, patients=8, metrics=("dice", "hd95"))
        shared_world.final(model, task="tiny", quality=quality, patients=2, metrics=("dice", "hd95"))
    return Path(shared_world.store.root.folder)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["bench", "figures", *map(str, words)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as caught:
            main()
        assert isinstance(caught.value.code, int)
        return caught.value.code, *capsys.readouterr()

    return run


def test_all_figures_that_the_data_carry(bench: Any, results: Path, tmp_path: Path) -> None:
    code, out, _ = bench(results, "-o", tmp_path)
    assert code == 0
    lung = ("cases", "critical-difference", "intervals", "ranks", "significance")
    expected = {CAPTIONS, *(f"lung-{name}.svg" for name in lung), "tiny-cases.svg", "tiny-intervals.svg"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert f"{tmp_path / 'lung-intervals.svg'}: lung: mean Dice, 8 patients" in out
    assert (
        "not drawn: tiny: ranks by Dice when patients are drawn again (2 patients; at least 6 are needed"
        in out
    )
    assert "not drawn: lung: what mattered in tuning (nothing was tuned)" in out
    assert "7 figures;" in out
    text = (tmp_path / CAPTIONS).read_text(encoding="utf-8")
    assert "## lung-ranks.svg\n\nlung: ranks by Dice when patients are drawn again. Area of a blob" in text
    assert "In words: unet + dice: rank 1" in text
    assert "## Not drawn" in text


@pytest.mark.parametrize(("kind", "magic"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_formats_are_what_they_say_and_the_same_each_time(
    bench: Any, results: Path, tmp_path: Path, kind: str, magic: bytes
) -> None:
    for folder in ("first", "again"):
        assert (
            bench(results, "-o", tmp_path / folder, "--format", kind, "--task", "lung", "--only", "ranks")[0]
            == 0
        )
    first, again = ((tmp_path / folder / f"lung-ranks.{kind}").read_bytes() for folder in ("first", "again"))
    assert first.startswith(magic)
    assert first == again


def test_all_formats_are_on_offer() -> None:
    assert FORMATS == ("svg", "pdf", "png")


def test_themes(bench: Any, results: Path, tmp_path: Path) -> None:
    for theme, palette, other in (("light", LIGHT, DARK), ("dark", DARK, LIGHT)):
        bench(results, "-o", tmp_path, "--theme", theme, "--task", "lung", "--only", "ranks")
        svg = (tmp_path / "lung-ranks.svg").read_text(encoding="utf-8")
        assert palette.paper in svg
        assert palette.ink in svg
        assert other.ink not in svg


def test_a_file_needs_no_font_and_says_what_it_is(bench: Any, results: Path, tmp_path: Path) -> None:
    bench(results, "-o", tmp_path, "--task", "lung", "--only", "intervals")
    svg = (tmp_path / "lung-intervals.svg").read_text(encoding="utf-8")
    assert not list(ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))
    assert "lung: mean Dice, 8 patients" in svg
    assert "to the best" in svg


def test_another_metric_and_scheme(bench: Any, results: Path, tmp_path: Path) -> None:
    code, out, _ = bench(
        results, "-o", tmp_path, "--metric", "hd95", "--rank-by", "rank", "--only", "intervals,ranks"
    )
    assert code == 0
    assert "lung: mean HD95 (mm), 8 patients" in out
    assert {path.name for path in tmp_path.iterdir()} == {
        CAPTIONS, "lung-intervals.svg", "lung-ranks.svg", "tiny-intervals.svg",
    }  # fmt: skip


def test_a_figure_that_cannot_be_drawn_any_more_is_not_left_behind(
    bench: Any, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiny-ranks.svg").write_text("of other results")
    (tmp_path / "mine.svg").write_text("not ours")
    bench(results, "-o", tmp_path, "--task", " tiny ")
    assert not (tmp_path / "tiny-ranks.svg").exists()
    assert (tmp_path / "mine.svg").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--only", "rank"], 2, "bench: no figure 'rank', did you mean 'ranks'?"),
        (["--only", "ranks,"], 2, "expected names joined by commas"),
        (["--format", "jpg"], 2, "'jpg' is not one of 'svg', 'pdf', 'png'"),
        (["--metric", "assd"], 2, "no test values of metric 'assd'"),
        (["--task", "heart"], 2, "no trials of task 'heart'"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    bench: Any, results: Path, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    found, out, err = bench(results, "-o", tmp_path / "out", *words)
    assert (found, out) == (code, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_captions_of_figures_that_stay_are_kept(bench: Any, results: Path, tmp_path: Path) -> None:
    def sections() -> dict[str, str]:
        parts = (tmp_path / CAPTIONS).read_text(encoding="utf-8").split("## ")
        return {part.partition("\n")[0]: part for part in parts if part}

    bench(results, "-o", tmp_path)
    whole = sections()
    bench(results, "-o", tmp_path, "--task", "lung", "--only", "intervals,ranks")
    assert sections() == whole
    # What is drawn anew is said anew, what is gone is not, and other formats stand beside.
    (tmp_path / "lung-cases.svg").unlink()
    bench(results, "-o", tmp_path, "--task", "lung", "--only", "intervals", "--metric", "hd95")
    bench(results, "-o", tmp_path, "--task", "lung", "--only", "ranks", "--format", "pdf")
    found = sections()
    assert found.keys() == whole.keys() - {"lung-cases.svg"} | {"lung-ranks.pdf"}
    assert "HD95" in found["lung-intervals.svg"]
    assert found["tiny-cases.svg"] == whole["tiny-cases.svg"]
    assert "- tiny-ranks: tiny: ranks by Dice" in found["Not drawn"]


@pytest.mark.parametrize("where", ["s3://bucket/figures", " "])
def test_figures_are_files_on_this_machine(bench: Any, results: Path, where: str) -> None:
    code, _, err = bench(results, "-o", where)
    assert code == 2
    assert f"expected a folder or a file on this machine, got {where!r}" in " ".join(err.split())


def test_figures_do_not_go_among_results(bench: Any, results: Path) -> None:
    before = set(results.iterdir())
    code, _, err = bench(results, "-o", results)
    assert code == 2
    assert (
        f"{results} holds results; name a folder of their own for figures, e.g. {results / 'figures'}" in err
    )
    assert set(results.iterdir()) == before


def test_a_file_that_cannot_be_written_is_named(
    bench: Any, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, _: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path.with_name(".tmp-123-x")))

    monkeypatch.setattr("bench.leaderboard.figures.files.write_atomic", refused)
    code, _, err = bench(results, "-o", tmp_path, "--task", "lung", "--only", "ranks")
    assert code == 4
    assert err == f"bench: {tmp_path / 'lung-ranks.svg'}: cannot be written (Permission denied)\n"


def test_a_folder_that_cannot_be_written_is_one_line(bench: Any, results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = bench(results, "-o", tmp_path / "file" / "out", "--only", "ranks")
    assert code == 4
    assert "cannot be written" in err
    assert len(err.splitlines()) == 1


def test_settings_of_matplotlib_come_back(bench: Any, results: Path, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    bench(results, "-o", tmp_path, "--task", "lung", "--only", "ranks")
    assert dict(matplotlib.rcParams) == before


def test_tables_do_without_matplotlib_and_optuna_and_figures_without_pyplot_torch_and_ray() -> None:
    code = (
        "import sys, bench.cli.main, bench.cli.leaderboard_command, bench.leaderboard, bench.leaderboard.report\n"
        "heavy = 'matplotlib', 'optuna', 'statsmodels', 'torch', 'ray'\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "import bench.cli.figures_command\n"
        "print([name for name in ('matplotlib.pyplot', 'torch', 'ray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]
