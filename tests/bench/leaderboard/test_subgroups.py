"""Groups of patients, and tables of some of the values."""

from typing import Any

import pandas as pd
import pytest

from bench.errors import ResultsError
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.load import load_tasks

VOLUMES = [5.0, 1.0, 3.0, 9.0, 2.0, 7.0]
PATHOLOGY = ["covid", "normal", "covid", "", "normal", "covid"]


@pytest.fixture
def cells(world: Any) -> TaskCells:
    """Six patients with an image at ED and one at ES, two labels, two entries."""
    for model, quality in (("unet", 0.8), ("resunet", 0.6)):
        row, cases = world.trial(model), []
        for patient, (volume, group) in enumerate(zip(VOLUMES, PATHOLOGY, strict=True)):
            for phase, shift in (("ED", 0.5), ("ES", -0.5)):
                for label, share in (("lv", 1.0), ("rv", 3.0)):
                    values = {
                        "dice": quality + 0.1 * shift + 0.01 * share,
                        "reference_volume_ml": share * (volume + shift),
                    }
                    for metric, value in values.items():
                        case = world.case(row["trial"], patient, metric, value)
                        unit = "mL" if metric != "dice" else ""
                        cases.append(case | {"case": f"p{patient}-{phase}", "phase": phase, "label": label,
                                             "subgroup": group, "unit": unit})  # fmt: skip
        world.store.write(row, cases, [])
    (found,) = load_tasks(world.store)
    return found


def members(groups: "pd.Series[str]") -> dict[str, list[str]]:
    return {name: list(groups.index[groups == name]) for name in groups.cat.categories}


def test_by_pathology(cells: TaskCells) -> None:
    groups = cells.groups("pathology")
    assert members(groups) == {"covid": ["p0", "p2", "p5"], "normal": ["p1", "p4"]}
    assert (groups.name, groups.index.name) == ("pathology", "patient")


def test_by_size_in_tertiles_of_the_reference(cells: TaskCells) -> None:
    # Mean over images and labels: twice the volume; tertiles of 2, 4, 6, 10, 14, 18.
    assert members(cells.groups("size")) == {
        "small (up to 5.33 mL)": ["p1", "p4"],
        "medium (up to 11.3 mL)": ["p0", "p2"],
        "large (over 11.3 mL)": ["p3", "p5"],
    }
    # Of 2, 6, 10, 18 the tertiles are 6 and 10, which belong below.
    four = cells.only(patients=["p0", "p1", "p2", "p3"]).groups("size")
    assert list(members(four).values()) == [["p1", "p2"], ["p0"], ["p3"]]


def test_by_a_column_of_a_table(cells: TaskCells) -> None:
    table = pd.DataFrame({"scanner": ["B", "A", None, "B"]}, index=["p5", "p0", "p1", "elsewhere"])
    assert members(cells.groups("scanner", table)) == {"A": ["p0"], "B": ["p5"]}


@pytest.mark.parametrize(
    ("by", "index", "message"),
    [
        ("site", ["p0", "p1"], r"lung: no subgroups by 'site' \(there are: pathology, size, scanner\)"),
        ("scanner", ["p0", "p0"], "one row per patient; p0 has several"),
        ("scanner", ["q0", "q1"], r"no patient of the results is in the table .*\(results: p0, table: q0\)"),
    ],
)
def test_errors(cells: TaskCells, by: str, index: list[str], message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        cells.groups(by, pd.DataFrame({"scanner": ["A", "B"]}, index=index))


def test_what_was_not_recorded_cannot_be_asked_for(world: Any) -> None:
    world.final("unet")
    (cells,) = load_tasks(world.store)
    with pytest.raises(
        ResultsError, match="lung: no groups by size: the metric reference_volume_ml was not measured"
    ):
        cells.groups("size")
    with pytest.raises(ResultsError, match="lung: no pathology is recorded: its data set names no subgroups"):
        cells.groups("pathology")


def test_a_patient_of_two_subgroups_is_refused(cells: TaskCells) -> None:
    rows = cells.cells.assign(subgroup=cells.cells["phase"])
    with pytest.raises(ResultsError, match="lung: a patient must belong to one subgroup; p0 has several"):
        TaskCells("lung", cells.entries, {}, rows).groups("pathology")


def test_only_some(cells: TaskCells) -> None:
    assert cells.labels == ["lv", "rv"]
    whole = cells.patients("dice").loc["unet + dice", "p0"]
    assert whole == pytest.approx(0.8 + 0.02)
    assert cells.only(labels=["rv"]).patients("dice").loc["unet + dice", "p0"] == pytest.approx(0.83)
    assert cells.only(phase="ED").patients("dice").loc["unet + dice", "p0"] == pytest.approx(0.87)
    some = cells.only(patients=["p4", "p1"], entries=["unet + dice"])
    table = some.patients("dice")
    assert (table.index.tolist(), table.columns.tolist()) == (["unet + dice"], ["p1", "p4"])
    assert [entry.name for entry in some.entries] == ["unet + dice"]
    # What was asked before of the whole stays what it was.
    assert cells.patients("dice").shape == (2, 6)
    assert cells.patients("dice").loc["unet + dice", "p0"] == whole


def test_only_nothing_is_refused(cells: TaskCells) -> None:
    with pytest.raises(ResultsError, match=r"lung: no values of label la \(there are: lv, rv\)"):
        cells.only(labels=["la"])


def test_runs(cells: TaskCells) -> None:
    found = cells.runs("dice")
    assert found.entries == ("resunet + dice", "unet + dice")
    assert (found.runs, found.patients) == (((0, 0),), ("p0", "p1", "p2", "p3", "p4", "p5"))
    assert found.values[1, 0, 0] == pytest.approx(0.82)
