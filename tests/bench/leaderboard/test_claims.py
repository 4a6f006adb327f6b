"""Answers to pre-registered claims."""

import math
from typing import Any

import pytest

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.claim_sheet import claim_lines, claim_sheet, takes_text
from bench.leaderboard.claims import ClaimResult, answer_claims
from bench.leaderboard.load import load_tasks
from bench.leaderboard.outlook import Outlook
from bench.stats.power import minimum_detectable_difference

CLAIM = {
    "id": "c",
    "task": "lung",
    "better": {"loss": "dice"},
    "than": {"loss": "ce"},
    "metric": "dice",
    "margin": 0,
}


def answer(where: Any, *changes: dict[str, Any]) -> list[ClaimResult]:
    """Answers claims from a world, or from what was read of one."""
    claims = [CLAIM | change for change in changes]
    return answer_claims(claims, where if isinstance(where, list) else load_tasks(where.store), resamples=299)


def write_two_by_two(world: Any) -> None:
    for model, base in (("unet", 0.9), ("resunet", 0.7)):
        world.final(model, "dice", quality=base, patients=12)
        world.final(model, "ce", quality=base - 0.05, patients=12)


@pytest.fixture
def two_by_two(world: Any) -> Any:
    """Dice loss gains 0.05 with either model; the models differ by 0.2."""
    write_two_by_two(world)
    return world


@pytest.fixture(scope="module")
def cells(shared_world: Any) -> list[TaskCells]:
    """The same, for tests that only read."""
    write_two_by_two(shared_world)
    return load_tasks(shared_world.store)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [(0.0, "supported"), (0.03, "supported"), (0.05, "undecided"), (0.08, "practically equivalent")],
)
def test_margin_decides(cells: list[TaskCells], margin: float, expected: str) -> None:
    (claim,) = answer(cells, {"margin": margin})
    assert claim.answer == expected
    (part,) = claim.comparisons
    assert part.difference.mean == pytest.approx(0.05, abs=0.01)
    assert part.difference.low < part.difference.mean < part.difference.high
    assert part.n_patients == 12
    assert (part.p < 0.05) == (expected != "undecided")


def test_what_is_shown_to_be_below_the_margin_but_not_within_the_region_is_refuted(
    cells: list[TaskCells],
) -> None:
    (claim,) = answer(cells, {"margin": 0.08, "equivalence": 0.02})
    assert claim.answer == "refuted"
    assert (claim.margin, claim.equivalence) == (0.08, 0.02)


def test_what_is_supported_may_be_of_no_consequence(cells: list[TaskCells]) -> None:
    (claim,) = answer(cells, {"equivalence": 0.2})
    assert claim.answer == "supported"
    assert claim.comparisons[0].equivalent
    assert "c: above the margin, yet within ±0.2: of no practical consequence" in claim_lines([claim])


def test_the_opposite_is_refuted(cells: list[TaskCells]) -> None:
    (claim,) = answer(cells, {"better": {"loss": "ce"}, "than": {"loss": "dice"}})
    assert claim.answer == "refuted"


def test_shorter_is_better_for_distances(cells: list[TaskCells]) -> None:
    (claim,) = answer(cells, {"metric": "hd95"})
    assert claim.answer == "supported"
    assert claim.comparisons[0].difference.mean == pytest.approx(1.0, abs=0.2)


def test_an_axis_that_each_study_chose_for_itself_is_not_paired(world: Any) -> None:
    world.final("unet", "ce", quality=0.9, patients=12)
    world.final("resunet", "dice", quality=0.8, patients=12)
    claim = CLAIM | {"better": {"model": "unet"}, "than": {"model": "resunet"}}
    cells = load_tasks(world.store)
    (paired,) = answer_claims([claim], cells, resamples=300)
    (alone,) = answer_claims([claim], cells, resamples=300, compare_axes=["model"])
    assert (paired.answer, alone.answer) == ("undecided", "supported")


def test_free_axes_are_paired_not_pooled(two_by_two: Any) -> None:
    # A third model with CE only, and a very good one: it must not speak for CE.
    two_by_two.final("star", "ce", quality=0.99, patients=12)
    (claim,) = answer(two_by_two, {})
    assert claim.answer == "supported"


def test_each_of_a_list_must_be_beaten(two_by_two: Any) -> None:
    for model in ("unet", "resunet"):
        two_by_two.final(model, "focal", quality=0.95, patients=12)
    (claim,) = answer(two_by_two, {"than": {"loss": ["ce", "focal"]}})
    assert [part.answer for part in claim.comparisons] == ["supported", "refuted"]
    assert [part.than for part in claim.comparisons] == [{"loss": "ce"}, {"loss": "focal"}]
    assert claim.answer == "refuted"


def test_holm_counts_all_comparisons_of_all_claims(cells: list[TaskCells]) -> None:
    (alone,) = answer(cells, {})
    together = answer(cells, {}, {"id": "d", "better": {"model": "unet"}, "than": {"model": "resunet"}})
    assert together[0].comparisons[0].p == pytest.approx(2 * alone.comparisons[0].p)


def test_what_it_takes_is_reckoned_with_the_family(cells: list[TaskCells]) -> None:
    """What is open is the last of five by its p-value, and is planned as any of them."""
    close = {"margin": 0.05}
    clear = [{"id": f"d{place}", "than": {"loss": "ce"}} for place in range(4)]
    (alone,) = answer(cells, close)
    many = answer(cells, close, *clear)[0]
    one, other = alone.comparisons[0], many.comparisons[0]
    assert many.family == 5
    assert one.outlook is not None
    assert other.outlook is not None
    sd = other.outlook.detectable / minimum_detectable_difference(1.0, 12, 0.01)
    assert one.outlook.detectable == pytest.approx(sd * minimum_detectable_difference(1.0, 12, 0.05))
    assert other.outlook.units > one.outlook.units


def test_few_patients_leave_it_undecided(world: Any) -> None:
    world.final("unet", "dice", quality=0.9, patients=5, noise=0)
    world.final("unet", "ce", quality=0.5, patients=5, noise=0)
    (claim,) = answer(world, {})
    (part,) = claim.comparisons
    assert claim.answer == "undecided"
    assert part.why == "5 patients cannot give a p-value below 0.0625"
    assert math.isnan(part.p)
    # All differences are equal: six patients will do.
    assert part.outlook is not None
    assert (part.outlook.towards, part.outlook.units, part.outlook.detectable) == ("supported", 6, math.inf)
    assert part.difference.mean == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"than": {"loss": "focal"}}, "no ranked entry has focal"),
        ({"better": {"model": "unet", "loss": "lovasz"}}, "no ranked entry has unet + lovasz"),
        ({"metric": "nsd"}, "no test values of metric 'nsd'"),
    ],
)
def test_nothing_to_compare(cells: list[TaskCells], change: dict[str, Any], why: str) -> None:
    (claim,) = answer(cells, change)
    assert claim.answer == "undecided"
    assert math.isnan(claim.comparisons[0].p)
    assert why in claim.comparisons[0].why


def test_sides_without_a_common_partner(world: Any) -> None:
    world.final("unet", "dice")
    world.final("resunet", "ce")
    (claim,) = answer(world, {})
    assert claim.comparisons[0].why == "no model has both sides"


def test_imputed_values_are_told(two_by_two: Any) -> None:
    two_by_two.final("unet", "ce", seed=1, patients=12)
    (claim,) = answer(two_by_two, {})
    assert claim.notes == ("rests on marked results: resunet + ce, resunet + dice, unet + dice",)


def test_claims_on_other_tasks_are_left_out(cells: list[TaskCells]) -> None:
    assert answer(cells, {"task": "heart"}) == []


@pytest.mark.parametrize("status", ["interrupted", "infra_lost"])
def test_an_answer_waits_for_final_trials_that_are_to_come(two_by_two: Any, status: str) -> None:
    two_by_two.final("unet", "ce", seed=1, patients=12, status=status)
    (claim,) = answer(two_by_two, {})
    (part,) = claim.comparisons
    assert claim.answer == "undecided"
    assert part.outlook is None
    assert "unet + ce: 1 of 2 final trials to come" in part.why


def test_a_failed_trial_is_a_result(two_by_two: Any) -> None:
    for model in ("unet", "resunet"):
        two_by_two.final(model, "dice", seed=1, patients=12)
        two_by_two.final(model, "ce", seed=1, patients=12, status="diverged")
    (claim,) = answer(two_by_two, {})
    assert not claim.comparisons[0].why.endswith("to come")
    assert claim.comparisons[0].difference.mean > 0.3


def test_sides_of_different_code_are_not_compared(two_by_two: Any) -> None:
    for model in ("unet", "resunet"):
        two_by_two.final(model, "focal", quality=0.5, patients=12, code="newer")
    dice, focal = answer(two_by_two, {}, {"id": "d", "than": {"loss": "focal"}})
    assert dice.answer == "supported"
    assert focal.answer == "undecided"
    (part,) = focal.comparisons
    assert "unet + focal" in part.why
    assert "by code newer" in part.why
    assert "`bench run SUITE --only stale`" in part.why
    assert part.difference.mean > 0.25


def test_an_entry_of_two_codes_may_be_compared_where_the_other_one_is_so_too(world: Any) -> None:
    for seed, code in ((0, "old"), (1, "new")):
        world.final("unet", "dice", quality=0.9, patients=12, seed=seed, code=code)
        world.final("unet", "ce", quality=0.8, patients=12, seed=seed, code=code)
    (claim,) = answer(world, {})
    assert "code" not in claim.comparisons[0].why


def test_planned_entries_without_final_trials_are_waited_for(two_by_two: Any) -> None:
    planned = {
        ("lung", f"{model} + {loss}"): {"model": model, "loss": loss}
        for model in ("unet", "resunet", "star")
        for loss in ("dice", "ce")
    }
    for loss in ("dice", "ce"):
        two_by_two.tune("star", loss)
    cells = load_tasks(two_by_two.store)
    (claim,) = answer_claims([CLAIM], cells, resamples=99, planned=planned)
    assert claim.answer == "undecided"
    assert "star + dice: no final trials yet" in claim.comparisons[0].why
    (other,) = answer_claims(
        [CLAIM | {"better": {"model": "unet"}, "than": {"model": "resunet"}}],
        cells,
        resamples=99,
        planned=planned,
    )
    assert other.answer == "supported"


@pytest.fixture(scope="module")
def seven_tasks(tmp_path_factory: pytest.TempPathFactory, shared_world: Any) -> list[TaskCells]:
    """Dice loss gains 0.05 on six tasks, and nothing on the last."""
    world = type(shared_world)(tmp_path_factory.mktemp("seven") / "results" / "quick")
    for place, task in enumerate("abcdefg"):
        gain = 0.05 + 0.002 * place if task != "g" else 0.0
        world.final("unet", "dice", quality=0.8 + gain, patients=12, task=task)
        world.final("unet", "ce", quality=0.8, patients=12, task=task)
    return load_tasks(world.store)


def test_a_claim_must_hold_on_each_of_its_tasks(seven_tasks: Any) -> None:
    some, every = answer(seven_tasks, {"task": ["a", "b"]}, {"id": "d", "task": "all", "margin": 0.03})
    assert [part.task for part in some.comparisons] == ["a", "b"]
    assert some.task == "a, b"
    assert some.answer == "supported"
    assert len(every.comparisons) == 7
    assert every.family == 9
    assert every.answer == "refuted"
    lines = claim_lines([every])
    assert lines[0] == "d: refuted, since each of its 7 comparisons must hold"


def test_over_tasks_each_task_counts_as_one(seven_tasks: Any) -> None:
    (claim,) = answer(seven_tasks, {"task": "all", "unit": "task"})
    (part,) = claim.comparisons
    assert (part.unit, part.n, part.trainings) == ("task", 7, 0)
    # Seven differences, one of them near zero: the signed-rank test over tasks.
    assert part.p == pytest.approx(2 * 2 / 2**7, abs=2 / 2**7)
    assert [cell.text for cell in claim_sheet([claim]).rows[0]][2:] == [
        "dice > ce in dice on 7 tasks",
        claim_sheet([claim]).rows[0][3].text,
        f"{part.p:.2g}",
        "7 tasks",
    ]


def test_a_task_without_results_is_waited_for_and_counted(cells: list[TaskCells]) -> None:
    planned = {("heart", "unet + dice"): {"model": "unet", "loss": "dice"}}
    (alone,) = answer_claims([CLAIM], cells, resamples=99)
    (both,) = answer_claims([CLAIM | {"task": "all"}], cells, resamples=99, planned=planned)
    assert both.answer == "undecided"
    assert both.comparisons[1].why == "no results of this task yet"
    assert both.comparisons[0].p == pytest.approx(2 * alone.comparisons[0].p)


def test_the_family_is_the_plan_s_from_the_first_result_on(seven_tasks: list[TaskCells]) -> None:
    """One claim on each of seven tasks, one over all of them: eight comparisons, whatever has come in."""
    planned = {
        (cells.task, f"unet + {loss}"): {"model": "unet", "loss": loss}
        for cells in seven_tasks
        for loss in ("dice", "ce")
    }
    claims = [CLAIM | {"task": "all"}, CLAIM | {"id": "d", "task": "all", "unit": "task"}]
    ps = []
    for known in (1, 4, 6, 7):
        first, over = answer_claims(claims, seven_tasks[:known], resamples=99, planned=planned)
        assert (first.family, over.family) == (8, 8)
        ps.append(first.comparisons[0].p)
        assert first.comparisons[0].answer == "supported"
        assert ("no results of this task yet" in over.comparisons[0].why) == (known < 7)
    # 12 patients agree; ties take their turns by place.
    assert ps == [pytest.approx(8 * 2 / 2**12)] * 4


def test_a_claim_without_results_counts_though_it_is_not_shown(cells: list[TaskCells]) -> None:
    found = answer(cells, {}, {"id": "d", "task": ["brain", "heart"]})
    assert [claim.id for claim in found] == ["c"]
    assert found[0].family == 3
    assert found[0].comparisons[0].p == pytest.approx(3 * answer(cells, {})[0].comparisons[0].p)


def test_what_waits_has_no_place_by_an_interim_p_value(world: Any) -> None:
    """The comparison that waits has the smaller p; the other is tested as if it came first all the same."""
    for task in ("lung", "heart"):
        world.final("unet", "dice", quality=0.9, patients=12, task=task)
        world.final("unet", "ce", quality=0.85, patients=12, noise=0.03, task=task)
    lung, heart = {"margin": 0.02}, {"id": "d", "task": "heart"}
    before = {claim.id: claim.comparisons[0] for claim in answer(world, lung, heart)}
    assert before["d"].p < before["c"].p == before["c"].evidence.smallest
    for loss in ("dice", "ce"):
        world.final("unet", loss, quality=0.9, patients=12, task="heart", seed=1, status="interrupted")
    after = {claim.id: claim.comparisons[0] for claim in answer(world, lung, heart)}
    assert "1 of 2 final trials to come" in after["d"].why
    assert after["d"].evidence == before["d"].evidence
    assert after["c"].p == pytest.approx(2 * before["c"].p)


def test_an_entry_on_both_sides_is_not_compared_with_itself(cells: list[TaskCells]) -> None:
    (claim,) = answer(cells, {"better": {"model": "unet"}, "than": {"loss": "ce"}})
    assert claim.comparisons[0].why == "both sides have unet + ce"
    both = answer(cells, {"better": {"loss": ["dice", "ce"]}})[0]
    assert [part.answer for part in both.comparisons] == ["supported", "undecided"]


@pytest.mark.parametrize("patients", [1, 2, 5])
def test_few_patients_have_no_interval(world: Any, patients: int) -> None:
    for loss, quality in (("dice", 0.9), ("ce", 0.8)):
        world.final("unet", loss, quality=quality, patients=patients)
    (part,) = answer(world, {})[0].comparisons
    assert part.difference.mean == pytest.approx(0.1, abs=0.03)
    assert math.isnan(part.difference.low)
    assert part.why.startswith(f"{patients} patient{'s' if patients > 1 else ''} cannot give")


def test_what_holds_for_these_trainings_only_is_undecided(world: Any) -> None:
    """Twelve patients agree on a gain that is the luck of one seed of three."""
    for seed, luck in enumerate((0.12, -0.01, 0.01)):
        world.final("unet", "dice", quality=0.7 + luck, patients=12, seed=seed)
        world.final("unet", "ce", quality=0.7, patients=12, seed=seed)
    (claim,) = answer(world, {})
    (part,) = claim.comparisons
    assert claim.answer == "undecided"
    assert part.p < 0.05
    assert part.difference.low > 0 > part.over_trainings.low
    assert part.why.startswith("supported for these trainings, but over other seeds, too, the mean may be -")
    assert part.outlook is not None
    assert part.outlook.training_share > 0.9
    assert part.outlook.units == math.inf
    assert 3 < part.outlook.seeds < 100
    text = " ".join(claim_lines([claim]))
    assert "no number of patients (now 12)" in text
    assert "more seeds help most" in text
    assert f"{part.outlook.seeds:g} seeds per fold (now 3)" in text


def test_the_table_names_the_family_and_the_region(cells: list[TaskCells]) -> None:
    claims = answer(cells, {"margin": 0.08}, {"id": "d", "metric": "hd95"})
    sheet = claim_sheet(claims)
    assert [cell.text for cell in sheet.rows[0]][:3] == [
        "c",
        "practically equivalent",
        "dice > ce + 0.08 in dice on lung",
    ]
    # As many digits as the leaderboard shows of the metric.
    assert sheet.rows[1][3].text.startswith("+1.0")
    assert len(sheet.rows[1][3].text.split()[0]) == len("+1.00")
    text = " ".join(sheet.lines)
    assert "Holm over the family of 2 comparisons of all claims" in text
    assert "Practically equivalent: shown to be within ±0.08 in dice." in text
    assert "One training of each entry" in text
    assert claim_sheet([]).lines == ("The suite claims nothing.",)


@pytest.mark.parametrize(
    ("units", "seeds", "share", "says"),
    [
        (40.0, math.nan, math.nan, "+0.010: 40 patients (now 12); "),
        (40.0, 7.0, 0.2, "+0.010: 40 patients (now 12) or 7 seeds per fold (now 3); "),
        (math.inf, 7.0, 0.9, "7 seeds per fold (now 3), but no number of patients (now 12); "),
        (math.inf, 7.0, 0.9, "90% of the uncertainty is of trainings: more seeds help most; "),
        (40.0, math.inf, 0.1, "40 patients (now 12), but no number of seeds per fold (now 3); "),
        (math.inf, math.nan, math.nan, "+0.010: no number of patients (now 12); "),
        (
            math.inf,
            math.inf,
            0.9,
            "neither more patients nor more seeds per fold are enough alone (now 12 ",
        ),
        (math.inf, math.inf, 0.9, "90% of the uncertainty is of trainings; as it is, "),
    ],
)
def test_what_it_takes_in_words(units: float, seeds: float, share: float, says: str) -> None:
    found = Outlook(
        towards="supported", units=units, least=math.inf, seeds=seeds, detectable=0.05, training_share=share
    )
    text = takes_text(found, "supported", "+0.010", "patient", 12, 3.0, 3)
    assert says in text
    assert "no number of patients or" not in text
