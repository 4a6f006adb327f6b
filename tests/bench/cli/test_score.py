"""`bench score` as it is typed: tables, JSON, files, exit codes."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.cli.main import main
from medseg.metrics import evaluate_case
from medseg.scoring.score import COLUMNS

EACH = "7 cases, each taken for a patient; --patient-pattern or --groups say otherwise\n"
SHARED = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture
def score(cache, monkeypatch, capsys):
    """Runs `bench score ...`; returns exit code, standard output and standard error."""

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", "score", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code, output.out, output.err

    return run


@pytest.fixture
def masks(tmp_path) -> tuple[Path, Path]:
    """Seven pictures of one label, predicted some pixels too low; the last reference is empty."""
    for number in range(7):
        mask = np.zeros((40, 50), np.uint8)
        mask[5:25, 10 : 20 + number] = 0 if number == 6 else 255
        for folder, moved in (("r", mask), ("p", np.roll(mask, number, axis=0))):
            path = tmp_path / folder / f"p{number // 2}_{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(moved).save(path)
    return tmp_path / "r", tmp_path / "p"


def both(folders):
    return "--reference", folders[0], "--prediction", folders[1]


def test_json_is_one_list_of_rows_and_nothing_else(score, masks):
    code, out, err = score(*both(masks), "--json", "--metrics", "dice,hd95")
    assert (code, err) == (0, EACH)
    rows = json.loads(out)
    assert all(tuple(row) == ("case", "label", "metric", "definition", "value", "status") for row in rows)
    assert len(rows) == 14
    assert rows[0] == {
        "case": "p0_0",
        "label": "255",
        "metric": "dice",
        "definition": "dice/v1",
        "value": 1.0,
        "status": "ok",
    }
    assert rows[-1] | {"value": None, "status": "both_empty"} == rows[-1]


def test_values_are_those_of_evaluate_case(score, masks):
    code, out, _ = score(
        *both(masks), "--json", "--metrics", "dice,hd95,nsd", "--tolerance-mm", 2, "--spacing-mm", "0.5,0.25"
    )
    assert code == 0
    found = {(row["case"], row["metric"]): row["value"] for row in json.loads(out)}
    for path in sorted(masks[0].iterdir())[:6]:
        arrays = [np.asarray(Image.open(folder / path.name)) // 255 for folder in masks]
        for value in evaluate_case(*arrays, (0.5, 0.25), ("x",), ("dice", "hd95", "nsd"), tolerance_mm=2.0):
            assert found[path.stem, value.metric] == value.value


def test_patients_and_systems_are_columns_where_there_are_several(score, masks):
    arguments = (*both(masks), "--json", "--metrics", "dice", "--patient-pattern", r"^(p\d)_")
    rows = json.loads(score(*arguments)[1])
    assert list(rows[0]) == ["case", "patient", "label", "metric", "definition", "value", "status"]
    assert sorted({row["patient"] for row in rows}) == ["p0", "p1", "p2", "p3"]
    rows = json.loads(score(*arguments, "--prediction", f"perfect={masks[0]}")[1])
    assert list(rows[0])[:3] == ["system", "case", "patient"]
    assert [row["system"] for row in rows] == ["p"] * 7 + ["perfect"] * 7


def test_statistics_are_over_patients_not_slices(score, tmp_path):
    rng = np.random.default_rng(0)
    for side in ("r", "p"):
        (tmp_path / side).mkdir()
        for number in range(40):
            mask = rng.integers(0, 2, (8, 9), np.uint8)
            Image.fromarray(mask).save(tmp_path / side / f"p{number // 10}_slice{number % 10}.png")
    code, out, _ = score(*both((tmp_path / "r", tmp_path / "p")), "--metrics", "dice")
    assert code == 0
    assert "4 patients, 40 cases" in out
    assert "40 cases taken for 4 patients by their names (..._slice0)" in out


def test_a_missing_case_is_a_row_null_and_exit_code_1(score, masks):
    (masks[1] / "p0_1.png").unlink()
    code, out, err = score(*both(masks), "--json", "--metrics", "dice")
    assert code == 1
    assert [(row["value"], row["status"]) for row in json.loads(out) if row["case"] == "p0_1"] == [
        (None, "missing")
    ]
    assert err == f"p0_1: no prediction\n{EACH}"


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_rows_go_to_a_file(score, masks, tmp_path, suffix):
    (masks[1] / "p0_1.png").write_bytes(b"x")
    path = tmp_path / f"rows{suffix}"
    code, out, _ = score(*both(masks), "--metrics", "dice,hd95", "-o", path)
    assert code == 1
    assert "Dice" in out
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}[suffix]
    rows = read(path).fillna({"note": "", "unit": ""})
    assert len(rows) == 14
    assert rows.columns.tolist() == list(COLUMNS)
    failed = rows[rows["status"] == "failed"]
    assert set(failed["case"]) == {"p0_1"}
    assert failed["value"].isna().all()
    assert failed["note"].str.contains("is not a readable picture").all()
    assert set(rows["unit"]) == {"", "px"}


def test_infinity_is_kept_in_csv_and_null_in_json(score, masks, tmp_path):
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(masks[1] / "p0_0.png")
    _, out, _ = score(*both(masks), "--metrics", "hd95", "--json", "-o", tmp_path / "rows.csv")
    assert json.loads(out)[0]["value"] is None
    with (tmp_path / "rows.csv").open() as file:
        assert next(csv.DictReader(file))["value"] == "inf"


def test_one_system_has_a_table_of_labels(score, masks):
    code, out, err = score(*both(masks), "--metrics", "dice,hd95")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["metric", "label", "mean", "[95%", "CI]", "median", "valid", "empty", "miss", "fail"] in lines
    row = next(line for line in lines if line[:2] == ["Dice", "255"])
    assert row[-4:] == ["6", "1", "0", "0"]
    assert float(row[2]) == pytest.approx(np.mean([1 - k / 20 for k in range(6)]), abs=6e-4)


def test_several_systems_are_compared_over_patients(score, masks):
    code, out, _ = score(*both(masks), "--prediction", f"perfect={masks[0]}", "--metrics", "dice,hd95")
    assert code == 0
    assert "Wilcoxon" in out
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("1 [", "2 ["))]
    assert [row[2] for row in rows] == ["perfect", "p"]
    assert "median" not in out


def test_policies_count_what_is_in_neither_mask(score, masks):
    def mean(*more):
        out = score(*both(masks), "--metrics", "dice", *more)[1]
        return float(next(line.split()[2] for line in out.splitlines() if line.startswith("Dice ")))

    assert mean() == mean("--policy", "nnunet") == 0.875
    assert (
        mean("--policy", "one") == mean("--policy", "brats") == pytest.approx((6 * 0.875 + 1) / 7, abs=6e-4)
    )


def test_a_task_brings_its_labels_unit_metrics_and_soft_masks(score, masks):
    soft = np.asarray(Image.open(masks[1] / "p0_0.png")).copy()
    soft[0, 0] = 90
    Image.fromarray(np.stack([soft] * 3, axis=-1)).save(masks[1] / "p0_0.png")
    code, out, _ = score(*both(masks), "--task", "covid-lung", "--json")
    assert code == 0
    rows = json.loads(out)
    assert {row["label"] for row in rows} >= {"lung"}
    assert {"dice", "iou", "hd95"} <= {row["metric"] for row in rows}
    assert rows[0]["value"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--labels", "lung"), "--labels lung: expected NAME=VALUE"),
        (("--labels", "a=0"), "--labels a=0: expected NAME=VALUE"),
        (("--labels", "a=1,b=1"), "--labels b=1: the name or the value comes twice"),
        (("--labels", "all=1"), "none of them called 'all'"),
        (("--metrics", "dise"), "--metrics: unknown metric 'dise', did you mean 'dice'?"),
        (("--metrics", "nsd"), "--tolerance-mm: nsd needs tolerance_mm"),
        (("--metrics", "nsd", "--tolerance-mm", "x=1"), "--tolerance-mm: no label 'x' (labels: 255)"),
        (("--tolerance-mm", "-1"), "--tolerance-mm -1: expected a distance from 0"),
        (("--metrics", "ece"), "--metrics: ece needs probabilities"),
        (("--metrics", "volume_ml"), "--metrics: volume_ml is a volume and needs millimetres"),
        (("--metrics", "dice,volume_ml", "--spacing-mm", "0.5"), "p0_0.png has two axes"),
        (("--spacing-mm", "0"), "--spacing-mm 0: expected one length above 0"),
        (("--spacing-mm", "1,2,3"), "p0_0.png has 2 axes: expected 1 or 2 numbers, got 3"),
        (("--spacing-mm", "1,2,3,4"), "expected one length above 0"),
        (("--task", "nothing"), "--task: unknown task 'nothing'"),
        (("--task", "covid-lung", "--labels", "a=1"), "--labels and --task exclude each other"),
        (("--patient-pattern", "p"), "--patient-pattern p: needs a group in parentheses"),
        (("--patient-pattern", "("), "--patient-pattern: no regular expression"),
        (("-o", "rows.xlsx"), "--output rows.xlsx: expected a name that ends in .csv, .parquet, .json"),
        (("-o", "nowhere/rows.csv"), "--output nowhere/rows.csv: no folder"),
        (("--prediction", "p=somewhere"), "another one is called 'p'; write NAME=DIR"),
    ],
)
def test_what_is_typed_wrongly_is_one_line_and_exit_code_2(score, masks, arguments, message):
    code, out, err = score(*both(masks), *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("bench: ")
    assert err.count("\n") == 1


def test_what_is_wrong_with_the_files_is_one_line_and_exit_code_3(score, masks, tmp_path):
    shutil.copy(masks[1] / "p0_0.png", masks[1] / "other.png")
    for arguments, message in (
        (both(masks), "1 prediction has no reference: other.png"),
        (("--reference", tmp_path / "no", "--prediction", masks[1]), f"no folder {tmp_path}/no"),
        (
            (*both(masks), "--task", "acdc-multiclass", "--extra", "ignore"),
            "carries no spacing: give it by --spacing-mm",
        ),
        ((*both(masks), "--labels", "a=7", "--extra", "ignore"), "no reference holds any of the labels a=7"),
        ((*both(masks), "--groups", tmp_path / "no.csv"), "no.csv: cannot be read"),
    ):
        code, out, err = score(*arguments)
        assert (code, out) == (3, "")
        assert message in err
        assert err.count("\n") == 1
    code, _, err = score(*both(masks), "--extra", "ignore", "--json")
    assert code == 0
    assert err == f"{EACH}{masks[1]}: left out 1 without a reference, e.g. other.png\n"


def test_every_system_says_its_first_reasons(score, masks, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(masks[1], tmp_path / name)
        for path in sorted((tmp_path / name).iterdir())[:4]:
            path.unlink()
    systems = ("--prediction", tmp_path / "one", "--prediction", tmp_path / "two")
    code, _, err = score("--reference", masks[0], *systems, "--json", "--metrics", "dice")
    assert code == 1
    lines = [f"{name}: p0_{number}: no prediction" for name in ("one", "two") for number in (0, 1)]
    assert err.splitlines()[:5] == [*lines, "and 4 other cases: column note of -o"]


def test_cavities_without_phases_are_said(score, acdc, tmp_path):
    source = next((acdc / "database").rglob("*_gt.nii.gz"))
    note = "no ejection fractions: no phases known"
    for name, known in (("case", False), ("case_ED", True)):
        for side in ("r", "p"):
            (tmp_path / name / side).mkdir(parents=True)
            shutil.copy(source, tmp_path / name / side / f"{name}.nii.gz")
        code, out, _ = score(
            *both((tmp_path / name / "r", tmp_path / name / "p")), "--task", "acdc-multiclass"
        )
        assert (code, note in out) == (0, not known)


def test_healthy_references_have_tables(score, masks):
    for path in masks[0].iterdir():
        Image.fromarray(np.zeros((40, 50), np.uint8)).save(path)
    code, out, _ = score(*both(masks), "--labels", "lung=255")
    assert code == 0
    assert "no reference holds lung=255" in out


def test_a_folder_with_an_equals_sign_is_a_folder(score, masks, tmp_path):
    shutil.move(masks[1], tmp_path / "a=b")
    assert score("--reference", masks[0], "--prediction", tmp_path / "a=b", "--json")[0] == 0


def test_neither_help_nor_json_import_what_they_do_not_need(masks):
    def imported(*arguments):
        code = (
            "import sys, bench.cli.main as m\n"
            f"sys.argv = ['bench', *{list(map(str, arguments))!r}]\n"
            "try: m.main()\n"
            "except SystemExit: pass\n"
            "print('\\n', [n for n in ('torch', 'ray', 'pandas', 'numpy', 'statsmodels') if n in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1].strip()

    assert imported("score", "--help") == imported("rescore", "--help") == "[]"
    assert imported("score", *both(masks), "--json") == "['numpy']"


def test_acdc_as_it_is_downloaded(score, acdc, tmp_path):
    references = sorted((acdc / "database").rglob("*_gt.nii.gz"))
    (tmp_path / "nnunet").mkdir()
    for path in references:
        shutil.copy(path, tmp_path / "nnunet" / path.name.replace("_gt", ""))
    (tmp_path / "nnunet" / "summary.json").write_text("{}")
    code, out, err = score(
        "--reference", acdc, "--prediction", tmp_path / "nnunet", "--task", "acdc-multiclass", "--json"
    )
    assert code == 0
    assert (
        err
        == "14 files beside the references taken for images, e.g. database/testing/patient006/patient006_frame01\n"
    )
    rows = json.loads(out)
    assert {row["patient"] for row in rows} == {f"patient{number:03d}" for number in range(1, 8)}
    assert {row["value"] for row in rows if row["metric"] == "dice"} == {1.0}


def test_real_x_rays(score, tmp_path):
    source = SHARED / "covid"
    if not source.is_dir():
        pytest.skip("no real data at <repository>/../shared/data/covid")
    masks = sorted(source.rglob("masks/*.png"))
    (tmp_path / "p").mkdir()
    for path in masks:
        mask = np.asarray(Image.open(path).convert("L"))
        Image.fromarray(np.where(mask > 127, 255, 0).astype(np.uint8)).save(tmp_path / "p" / path.name)
    code, out, _ = score(
        "--reference", source, "--prediction", tmp_path / "p", "--task", "covid-lung", "--json"
    )
    assert code == 0
    dice = [row["value"] for row in json.loads(out) if row["metric"] == "dice"]
    assert len(dice) == len(masks)
    assert set(dice) == {1.0}


def test_a_header_that_disagrees_is_said_below_the_table(score, acdc, tmp_path):
    source = next((acdc / "database").rglob("*_gt.nii.gz"))
    (tmp_path / "p").mkdir()
    volume = nibabel.load(source)
    changed = nibabel.Nifti1Image(np.asarray(volume.dataobj), np.diag([1, 1, 1, 1]))
    nibabel.save(changed, tmp_path / "p" / "x.nii.gz")
    code, out, _ = score(
        "--reference", source, "--prediction", tmp_path / "p" / "x.nii.gz", "--metrics", "dice"
    )
    assert code == 0
    assert "the prediction's header says 1 x 1 x 1 mm, the reference's 8 x 1.4 x 1.5 mm, which counts" in out
