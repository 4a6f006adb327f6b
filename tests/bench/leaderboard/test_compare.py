"""B against A: runs, entries, versions of the code."""

import io
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.errors import BenchError, NothingInCommonError, ResultsError
from bench.leaderboard.compare import compare_match
from bench.leaderboard.compare_sheet import compare_sheets
from bench.leaderboard.comparison import Comparison
from bench.leaderboard.opponents import Match, match_codes, match_entries, match_runs
from bench.leaderboard.publish import Sheets
from bench.results.store import Store
from bench.stats.power import minimum_detectable_difference

RESAMPLES = 299


def write_two_runs(world: Any, folder: Path) -> tuple[Any, Any]:
    other = type(world)(folder / "results" / "other")
    for one, quality, noise in ((world, 0.8, 0.01), (other, 0.796, 0.012)):
        one.final("unet", "dice", quality=quality, patients=12, noise=noise)
    return world, other


@pytest.fixture
def two_runs(world: Any, tmp_path: Path) -> tuple[Any, Any]:
    """Two runs of one entry on twelve patients, in the second of which it is 0.004 worse."""
    return write_two_runs(world, tmp_path)


@pytest.fixture(scope="module")
def both(shared_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Match:
    """The same, for tests that only read."""
    first, second = write_two_runs(shared_world, tmp_path_factory.mktemp("compare"))
    return match_runs(first.store, second.store)


def compared(first: Any, second: Any, *metrics: str, **options: Any) -> Comparison:
    match = match_runs(first.store, second.store)
    return compare_match(match, metrics or None, resamples=RESAMPLES, **options)


def judged(match: Match, **options: Any) -> Comparison:
    return compare_match(match, resamples=RESAMPLES, **options)


def lines(found: Comparison) -> str:
    return " ".join(compare_sheets(found)[-1].lines)


@pytest.mark.parametrize(
    ("margin", "kept"), [(-0.01, "kept"), (-0.004, "cannot tell"), (-0.001, "broken"), (0.0, "broken")]
)
def test_a_margin_is_kept_broken_or_open(both: Match, margin: float, kept: str) -> None:
    found = judged(both, margins={"dice": margin})
    (row,) = found.rows
    assert (found.answer, row.kept, row.margin) == (kept, kept, margin)
    assert row.difference.mean == pytest.approx(-0.004, abs=0.002)
    assert row.second - row.first == pytest.approx(row.difference.mean)
    assert row.difference.low < row.difference.mean < row.difference.high
    assert (row.verdict, row.n, row.trainings) == ("worse", 12, 1)
    assert row.effect is not None
    assert row.effect.rank_biserial.value < -0.5
    if kept == "cannot tell":
        assert row.outlook is not None
        assert "with 80% power if the difference truly is -0.004" in lines(found)
    assert f"Margin dice {margin:+g}: " in lines(found)


def test_of_distances_worse_is_longer(both: Match) -> None:
    found = judged(both, margins={"hd95": 1.0, "dice": -0.02})
    rows = {row.facts.name: row for row in found.rows}
    assert rows["hd95"].difference.mean == pytest.approx(0.08, abs=0.04)
    assert (rows["hd95"].verdict, rows["hd95"].kept) == ("worse", "kept")
    assert rows["hd95"].effect is not None
    assert rows["hd95"].effect.rank_biserial.value < -0.5
    assert found.answer == "kept"
    sheets = compare_sheets(found)
    assert [sheet.title.partition(",")[0] for sheet in sheets] == ["HD95 (mm)", "Dice"]
    texts = [cell.text for cell in sheets[0].rows[0]]
    assert texts[:2] == ["lung", "unet + dice"]
    assert texts[-2:] == ["+1", "kept"]


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        ({"dice": 0.01}, "of dice higher is better; say by how much B may be worse, e.g. dice=-0.01"),
        ({"hd95": -1.0}, r"of hd95 lower is better; .*, e.g. hd95=\+1"),
        ({"pixel_accuracy": -0.1}, "pixel_accuracy is only reported"),
        ({"nsd": -0.1}, "no test values of metric 'nsd'"),
    ],
)
def test_margins_that_mean_nothing_are_refused(both: Match, margins: dict[str, float], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        judged(both, margins=margins)


@pytest.mark.parametrize(
    "sizes", [{"margins": {"dice": -1.0}}, {"margins": {"dice": -5}}, {"ropes": {"dice": 2.0}}]
)
def test_a_size_that_no_difference_can_have_is_refused(both: Match, sizes: dict[str, Any]) -> None:
    with pytest.raises(
        BenchError, match=r"dice=.*: values of dice differ by at most 1, so that it says nothing"
    ):
        judged(both, **sizes)


def test_metrics_are_known_by_both_sides(both: Match) -> None:
    with pytest.raises(BenchError, match=r"no test values of metric 'dise', did you mean 'dice'\?") as caught:
        judged(both, margins={"dise": -0.1})
    assert caught.value.exit_code == 2


def test_a_run_is_not_compared_with_itself(two_runs: tuple[Any, Any], tmp_path: Path) -> None:
    first, _ = two_runs
    with pytest.raises(BenchError, match="quick is compared with itself: name two runs") as caught:
        compared(first, first)
    assert caught.value.exit_code == 2
    shutil.copytree(first.store.root.folder, tmp_path / "copy")
    with pytest.raises(BenchError, match="are the same trials") as caught:
        match_runs(first.store, Store(tmp_path / "copy"))
    assert caught.value.exit_code == 2


def test_final_trials_are_paired_by_fold_and_seed(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    for seed in range(3):
        world.final("unet", "dice", patients=12, seed=seed, quality=0.8 if seed else 0.3)
    other.final("unet", "dice", patients=12, seed=1, noise=0.02)
    other.final("unet", "dice", patients=12, seed=2, noise=0.02)
    other.final("unet", "dice", patients=12, seed=3, quality=0.3)
    found = compared(world, other)
    (row,) = found.rows
    assert (row.trainings, row.seeds) == (2, 2)
    assert row.difference.mean == pytest.approx(0, abs=0.01)
    assert found.notes == (
        "lung, unet + dice: final trials left out, as the other side has none of their fold and seed: "
        "1 of 3 of A, 1 of 3 of B",
    )
    third = type(world)(tmp_path / "results" / "third")
    third.final("unet", "dice", patients=12, seed=7)
    with pytest.raises(NothingInCommonError, match="unet \\+ dice: A and B have no fold and seed in common"):
        compared(world, third)


def test_the_same_values_are_told(two_runs: tuple[Any, Any], tmp_path: Path) -> None:
    first, _ = two_runs
    again = type(first)(tmp_path / "results" / "again")
    # Made anew, with the same numbers.
    again.final("unet", "dice", quality=0.8, patients=12, noise=0.01, attempt=2)
    found = compared(first, again, margins={"dice": -0.001})
    (row,) = found.rows
    assert (row.verdict, row.kept, row.p, row.difference.mean) == ("same values", "kept", 1.0, 0.0)


def test_the_same_values_wait_as_others_do(world: Any) -> None:
    for model, code in (("unet", "aaaa1111"), ("resunet", "bbbb2222")):
        row = world.trial(model, "dice", code=code)
        cases = [world.case(row["trial"], patient, "dice", 0.8 - patient / 50) for patient in range(12)]
        world.store.write(row, cases, [])
    match = match_entries(world.store, ("unet + dice", "resunet + dice"))
    (row,) = compare_match(match, resamples=RESAMPLES).rows
    assert (row.difference.mean, row.verdict) == (0.0, "cannot tell")
    assert row.why.startswith("not by the same code")


@pytest.mark.parametrize("patients", [1, 2, 5])
def test_few_patients_have_no_interval_and_nothing_they_could_show(
    world: Any, tmp_path: Path, patients: int
) -> None:
    other = type(world)(tmp_path / "results" / "other")
    for one, quality in ((world, 0.8), (other, 0.82)):
        one.final("unet", "dice", quality=quality, patients=patients)
    found = compared(world, other, margins={"dice": -0.1})
    (row,) = found.rows
    assert row.difference.mean == pytest.approx(0.02, abs=0.01)
    assert row.effect is not None
    assert all(math.isnan(end) for end in (row.difference.low, row.effect.median.low))
    assert not math.isfinite(row.mdd)
    assert "[" not in compare_sheets(found)[0].rows[0][3].text
    assert f"{patients} patient{'s' if patients > 1 else ''} cannot give a p-value" in lines(found)


def write_gaps(first: Any, second: Any, *gaps: list[float]) -> None:
    """Writes an entry per list; B is worse by the numbers in it, patient by patient."""
    for place, gap in enumerate(gaps):
        for one in (first, second):
            row = one.trial(f"model{place}", "dice")
            cases = [
                one.case(row["trial"], patient, "dice", 0.8 - patient / 50 - (one is second) * worse)
                for patient, worse in enumerate(gap)
            ]
            one.store.write(row, cases, [])


# Twice the one-sided p-value of being worse is 0.021.
JUST = [-0.001, -0.002, -0.003, -0.004, *(0.012 + 0.0005 * place for place in range(8))]


@pytest.mark.parametrize(("rows", "kept"), [(1, "broken"), (2, "broken"), (3, "cannot tell")])
def test_that_a_margin_is_broken_is_said_of_any_row(world: Any, tmp_path: Path, rows: int, kept: str) -> None:
    other = type(world)(tmp_path / "results" / "other")
    write_gaps(world, other, *[JUST] * rows)
    found = compared(world, other, margins={"dice": 0.0})
    assert [row.kept for row in found.rows] == [kept] * rows
    assert found.rows[0].p == pytest.approx(min(1, rows * 0.02099609375))
    if kept == "cannot tell":
        outlook = found.rows[0].outlook
        assert outlook is not None
        assert outlook.towards == "refuted"
        sd = float(np.std(JUST, ddof=1))
        assert outlook.detectable == pytest.approx(minimum_detectable_difference(sd, 12, 0.05 / 3))


def test_what_could_be_seen_is_reckoned_with_the_family(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    write_gaps(world, other, JUST, [gap / 2 for gap in JUST], [0.002 * (-1) ** place for place in range(12)])
    found = compared(world, other, details=True)
    assert found.comparisons == (3, 0)
    for row, gap in zip(found.rows, (JUST, [gap / 2 for gap in JUST]), strict=False):
        sd = float(np.std(gap, ddof=1))
        assert row.family == 3
        # The first of Holm's steps for all, as in the leaderboard.
        assert row.mdd == pytest.approx(minimum_detectable_difference(sd, 12, 0.05 / 3))
        assert row.details is not None
        assert row.details.outlook is not None
        assert row.details.outlook.detectable == pytest.approx(row.mdd)


def test_five_patients_cannot_keep_a_margin(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    for attempt, one in enumerate((world, other), start=1):
        one.final("unet", "dice", patients=5, attempt=attempt)
    found = compared(world, other, margins={"dice": -0.1})
    (row,) = found.rows
    assert (found.answer, row.verdict) == ("cannot tell", "same values")
    assert row.why == "5 patients cannot give a p-value below 0.0625"
    assert math.isnan(row.p_margin)


def test_all_margins_must_be_kept_and_nothing_may_be_missing(two_runs: tuple[Any, Any]) -> None:
    first, second = two_runs
    first.final("resunet", "dice", patients=12)
    found = compared(first, second, margins={"dice": -0.02})
    assert [row.kept for row in found.rows] == ["kept"]
    assert found.answer == "cannot tell"
    assert found.left_out == ("lung: resunet + dice: not in B (not there)",)
    assert "not compared: lung: resunet + dice" in lines(found)
    second.final("resunet", "dice", patients=12, quality=0.5)
    assert compared(first, second, margins={"dice": -0.02}).answer == "broken"


def test_holm_counts_all_differences(two_runs: tuple[Any, Any]) -> None:
    first, second = two_runs
    (alone,) = compared(first, second).rows
    for one, noise in ((first, 0.01), (second, 0.02)):
        one.final("resunet", "dice", patients=12, noise=noise)
    found = compared(first, second)
    rows = {row.name: row for row in found.rows}
    assert found.comparisons == (2, 0)
    assert rows["unet + dice"].p == pytest.approx(2 * alone.p)
    assert rows["resunet + dice"].verdict == "no difference shown"


def labelled(world: Any, gaps: dict[str, float]) -> None:
    row = world.trial("unet", "dice")
    cases = [
        world.case(row["trial"], patient, "dice", 0.8 - 0.01 * patient - gap * (1 + patient / 50))
        | {"label": label}
        for patient in range(12)
        for label, gap in gaps.items()
    ]
    world.store.write(row, cases, [])


def test_labels_are_a_family_of_their_own(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    labelled(world, {"LV": 0.0, "RV": 0.0})
    labelled(other, {"LV": 0.0, "RV": 0.02})
    found = compared(world, other, margins={"dice": -0.015})
    assert [(row.label, row.verdict) for row in found.rows] == [
        ("", "worse"),
        ("LV", "same values"),
        ("RV", "worse"),
    ]
    mean, _, right = found.rows
    assert found.comparisons == (1, 2)
    assert right.p == pytest.approx(2 * mean.p)
    assert mean.difference.mean == pytest.approx(right.difference.mean / 2)
    # The margin is one of the mean, unless it is asked of each label.
    assert (found.answer, right.margin) == ("kept", None)
    assert compared(world, other, margins={"dice": -0.015}, each_label=True).answer == "broken"
    heads = [column.title for column in compare_sheets(found)[0].columns]
    assert heads[:4] == ["task", "entry", "label", "A → B"]


def test_what_cannot_be_compared_is_left_out(two_runs: tuple[Any, Any]) -> None:
    first, second = two_runs
    first.final("resunet", "dice", patients=12, split="split1", task="heart")
    second.final("resunet", "dice", patients=12, split="split2", task="heart")
    first.final("resunet", "dice", task="brain")
    found = compared(first, second)
    assert found.left_out == (
        "brain: only " + found.titles[0] + " has it",
        "heart: resunet + dice: A and B are on other data or another split",
    )
    assert found.answer == ""


def test_other_definitions_are_not_compared(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    world.final("unet", "dice", patients=12)
    other.final("unet", "dice", patients=12, definitions={"hd95": {"hd95/v9": 0.0}})
    found = compared(world, other, "dice", "hd95")
    assert [row.facts.name for row in found.rows] == ["dice"]
    assert found.left_out == (
        "lung, unet + dice: hd95: B: measured as hd95/v9, A as hd95/v1: `bench rescore` measures anew",
    )


def test_nothing_in_common_is_an_error(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    world.final("unet", "dice", task="lung")
    other.final("unet", "dice", task="heart")
    with pytest.raises(ResultsError, match=r"nothing to compare of .*: lung: only "):
        compared(world, other)


def test_trials_to_come_are_not_counted_as_failures(two_runs: tuple[Any, Any]) -> None:
    first, second = two_runs
    (before,) = compared(first, second).rows
    first.final("unet", "dice", seed=1, patients=12)
    second.final("unet", "dice", seed=1, patients=12, status="interrupted")
    found = compared(first, second)
    assert found.rows[0].difference.mean == pytest.approx(before.difference.mean)
    assert found.notes == (
        "lung, unet + dice: B: 1 of 2 final trials to come, not counted",
        "lung, unet + dice: final trials left out, as the other side has none of their fold and seed: 1 of 2 of A",
    )
    second.final("unet", "dice", seed=1, patients=12, status="diverged")
    found = compared(first, second)
    assert found.rows[0].difference.mean < -0.3
    assert any("counted as worst" in note for note in found.notes)


def test_only_patients_and_cases_of_both_are_compared(two_runs: tuple[Any, Any]) -> None:
    first, second = two_runs
    third = type(first)(first.store.root.folder.parent / "third")
    third.final("unet", "dice", quality=0.796, noise=0.012, patients=15)
    found = compared(first, third)
    (row,) = found.rows
    assert row.n == 12
    assert row.difference == compared(first, second).rows[0].difference
    assert found.notes == ("lung, unet + dice: left out: 12 values of cases or labels that one side lacks",)


@pytest.fixture
def two_codes(world: Any) -> Any:
    """Old and new code, three seeds each; the new one is 0.05 better."""
    for seed in range(3):
        for code, quality in (("aaaa1111", 0.7), ("bbbb2222", 0.75)):
            world.final("unet", "dice", quality=quality, noise=0.01, patients=12, seed=seed, code=code)
        world.final("resunet", "dice", patients=12, seed=seed, code="bbbb2222")
    return world


def test_versions_of_the_code_are_never_mixed(two_codes: Any) -> None:
    found = compare_match(match_codes(two_codes.store, ("aaaa", "bbbb2222")), resamples=RESAMPLES)
    (row,) = found.rows
    assert found.titles == ("code aaaa1111", "code bbbb2222")
    assert row.first == pytest.approx(0.7 - 0.11, abs=0.01)
    assert row.difference.mean == pytest.approx(0.05)
    assert (row.verdict, row.trainings, row.seeds) == ("better", 3, 3)
    assert found.left_out == ("lung: resunet + dice: not in A (not there)",)
    back = compare_match(match_codes(two_codes.store, ("bbbb", "aaaa")), resamples=RESAMPLES)
    assert back.rows[0].difference.mean == pytest.approx(-0.05)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (
            ("cccc", "bbbb"),
            r"--code cccc: no final trial was made by code that begins so \(there are: aaaa1111 ",
        ),
        (("", "bbbb"), "--code : several versions of the code begin so"),
        (("aaaa", "aaaa1"), "--code aaaa and aaaa1 are the same code, aaaa1111"),
    ],
)
def test_codes_that_are_none_or_several(two_codes: Any, codes: tuple[str, str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        match_codes(two_codes.store, codes)


def test_two_entries_of_a_run(world: Any) -> None:
    for task in ("lung", "heart"):
        world.final("unet", "dice", quality=0.8, patients=12, task=task)
        world.final("resunet", "dice", quality=0.75, patients=12, task=task)
    world.final("unet", "dice", task="brain")
    match = match_entries(world.store, ("unet + dice", "resunet + dice"))
    found = compare_match(match, resamples=RESAMPLES)
    assert [(row.task, row.name, row.verdict) for row in found.rows] == [
        ("heart", "", "worse"),
        ("lung", "", "worse"),
    ]
    assert found.left_out == ("brain: resunet + dice: not there",)
    assert [column.title for column in compare_sheets(found)[0].columns][:2] == ["task", "A → B"]
    only = match_entries(world.store, ("unet + dice", "resunet + dice"), ["lung"])
    assert [pair.cells.task for pair in only.pairs] == ["lung"]


def test_entries_of_different_code_are_shown_and_not_judged(world: Any) -> None:
    world.final("unet", "dice", quality=0.8, patients=12, code="aaaa1111")
    world.final("resunet", "dice", quality=0.7, patients=12, code="bbbb2222")
    match = match_entries(world.store, ("unet + dice", "resunet + dice"))
    found = compare_match(match, margins={"dice": -0.3}, resamples=RESAMPLES)
    (row,) = found.rows
    assert (row.verdict, row.kept) == ("cannot tell", "cannot tell")
    assert row.why == ("not by the same code: unet + dice by code aaaa1111; resunet + dice by code bbbb2222")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("unet + dise", "resunet + dice"), "'unet \\+ dise': no such entry, did you mean 'unet \\+ dice'"),
        (("unet + dice", "unet + dice"), "is compared with itself"),
    ],
)
def test_entries_that_are_not_there(world: Any, names: tuple[str, str], message: str) -> None:
    world.final("unet", "dice")
    world.final("resunet", "dice")
    with pytest.raises(BenchError, match=message):
        match_entries(world.store, names)


def test_what_trainings_vary_by_keeps_a_margin_open(world: Any, tmp_path: Path) -> None:
    """Twelve patients agree that B is no worse, but one of its three seeds is."""
    other = type(world)(tmp_path / "results" / "other")
    for seed, luck in enumerate((0.06, 0.05, -0.06)):
        world.final("unet", "dice", patients=12, seed=seed)
        other.final("unet", "dice", quality=0.8 + luck, patients=12, seed=seed)
    found = compared(world, other, margins={"dice": -0.005})
    (row,) = found.rows
    assert row.kept == "cannot tell"
    assert row.difference.low > -0.005 > row.over_trainings.low
    assert row.why.startswith("margin kept for these trainings, but over other seeds, too")
    assert row.outlook is not None
    assert row.outlook.units == math.inf
    assert row.mdd > 0.05


def test_at_80_columns_the_difference_and_its_p_stay(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    for one, gap in ((world, 0.0), (other, 0.004)):
        one.final("deep_attention_unet", "focal_tversky", patients=12, noise=0.01 + gap, task="phantom-lung")
    found = compared(world, other, margins={"dice": -0.02})
    console = Console(file=io.StringIO(), width=80)
    console.print(Sheets(compare_sheets(found)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    head = next(line for line in text.splitlines() if line.startswith("task"))
    assert re.search(r"task +entry +B - A .*\bp +n +B is", head)
    assert "A → B" in text.partition("Not shown at this width: ")[2]
    assert all(f"{word} " in text for word in ("phantom-lung", "deep_attention_unet", "focal_tversky"))


def test_too_few_patients_for_any_p_are_no_family_of_none(world: Any, tmp_path: Path) -> None:
    other = type(world)(tmp_path / "results" / "other")
    world.final("unet", "dice", patients=3)
    other.final("unet", "dice", patients=3, noise=0.02)
    text = lines(compared(world, other))
    assert "Holm over 0" not in text
    assert "for which no difference has enough patients" in text
