"""Every format says what it is of, and a file is written where and how its name says."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.errors import ResultsError
from bench.leaderboard.answer import answer
from bench.leaderboard.columns import columns
from bench.leaderboard.provenance import Provenance, provenance
from bench.leaderboard.request import Request
from bench.leaderboard.show import show, style_of

OF = (
    "Of suite quick, plan 0123456789ab, newest final trial 2026-01-02, code today, "
    "with --rank-by rank --on-missing worst"
)


@pytest.fixture
def kept(world: Any) -> Any:
    for model, quality in (("a", 0.8), ("b", 0.7)):
        world.final(model, quality=quality, patients=12)
    world.store.write_suite({"suite": "quick", "plan": "0123456789abcdef"})
    return world


def written(world: Any, path: Path, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=300)
    request = Request(resamples=50, rank_by="rank", on_missing="worst")
    show(world.store.root, path.parent, console=console, request=request, output=path, **options)
    assert console.file.getvalue() == f"Wrote {path}.\n"  # type: ignore[attr-defined]
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", ["md", "tex", "txt"])
def test_texts_say_what_they_are_of(kept: Any, tmp_path: Path, suffix: str) -> None:
    text = written(kept, tmp_path / f"x.{suffix}")
    assert OF in text.replace("\n--on", " --on")
    assert suffix != "tex" or f"% {OF}\n" in text


def test_data_say_what_they_are_of(kept: Any, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(written(kept, tmp_path / "x.csv"))))
    named = {
        "kind": "", "part": "", "metric": "dice", "scheme": "rank", "policy": "nnunet", "on_missing": "worst",
        "n": "12", "folds": "1", "seeds": "1", "suite": "quick", "plan": "0123456789ab", "newest": "2026-01-02",
        "code": "today", "options": "with --rank-by rank --on-missing worst",
    }  # fmt: skip
    assert all(row | named == row for row in rows)
    assert (rows[0]["difference"], rows[0]["difference_low"]) == ("", "")
    found = json.loads(written(kept, tmp_path / "x.json"))["of"]
    assert found["plan"] == "0123456789ab"


def test_what_is_ranked_by_is_a_column_where_not_the_mean(kept: Any) -> None:
    shown = {}
    for scheme in ("mean", "rank", "test"):
        (board,) = answer(kept.store, Request(resamples=50, rank_by=scheme), "today").boards
        shown[scheme] = [
            (column.title, [column.text(row) for row in board.rows])
            for column in columns(board)
            if column.key == "score"
        ]
    assert shown == {"mean": [], "rank": [("mean rank", ["1.00", "2.00"])], "test": [("wins", ["1", "0"])]}


def test_options_are_written_as_they_are_typed(kept: Any) -> None:
    request = Request(definitions={"dice": "dice/v1"}, per_label=True, columns=("quality", "gain"), seed=3)
    assert provenance(kept.store, [], request).options == (
        "with --columns quality,gain --per-label --definition dice=dice/v1"
    )
    assert Provenance().line == ""


@pytest.mark.parametrize(
    ("name", "style"),
    [("x.HTML", "html"), ("x.md", "md"), ("x.tex", "latex"), ("x.json", "json"), ("x", "rich")],
)
def test_the_suffix_says_the_format(name: str, style: str) -> None:
    assert style_of(Path(name)) == style


def test_a_missing_folder_is_refused_and_not_made(kept: Any, tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.md"
    with pytest.raises(ResultsError, match="there is no folder"):
        written(kept, path)
    assert not path.parent.exists()
