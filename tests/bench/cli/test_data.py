import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from bench.cli.data_targets import suite_lines
from bench.suite.load import parse_suite
from bench.suite.resolve import task_spec
from medseg.data.guess_task import guess_task
from medseg.tasks import TASKS, SplitSpec, TaskSpec

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
REST = "suite: own\nmodels: [unet]\nlosses: [dice]\n"


def test_help_of_every_command_says_what_it_does(bench):
    for command, word in (("check", "--html"), ("prepare", "--suite"), ("clean", "--dry-run")):
        code, out, _ = bench(command, "--help")
        assert code == 0
        assert word in out


def test_the_command_line_still_imports_nothing_heavy():
    heavy = ("torch", "ray", "numpy", "PIL", "nibabel", "rich", "yaml")
    code = f"import sys, bench.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_checking_imports_no_torch():
    code = "import sys, bench.cli.data_commands; print([m for m in ('torch', 'ray', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_clean_data_set_is_exit_code_0_and_a_verdict(bench, acdc):
    code, out, err = bench("check", "acdc-multiclass", "--data", f"acdc={acdc}")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "acdc-multiclass: 14 cases of 7 patients, no problem, no warning"
    assert "between slices, mm" in out
    assert "MYO" in out


def test_all_problems_are_listed_and_the_exit_code_is_3(bench, acdc):
    for number in range(1, 5):
        for frame in (1, 12):
            name = f"patient{number:03d}"
            (acdc / "database/training" / name / f"{name}_frame{frame:02d}_gt.nii.gz").unlink()
            (acdc / "database/training" / name / f"{name}_frame{frame:02d}.nii.gz").write_text("broken")
    (acdc / "database/training/patient005/Info.cfg").write_text("ED: one\n")
    code, out, _ = bench("check", "acdc-multiclass", "--data", f"acdc={acdc}")
    assert code == 3
    assert sum(line.startswith("  training/patient") for line in out.splitlines()) >= 10
    assert "problems, no warning" in out.splitlines()[-1]
    assert out.isascii() or "Herz Ü 1" in out


def test_json_is_all_there_is_on_standard_output(bench, acdc):
    shutil.copy(*(acdc / f"database/testing/patient00{n}/patient00{n}_frame01.nii.gz" for n in (6, 7)))
    code, out, _ = bench("check", "acdc-lv", "--data", f"acdc={acdc}", "--json")
    tree = json.loads(out)
    assert code == 0
    assert (tree["cases"], tree["patients"], len(tree["warnings"])) == (14, 7, 1)
    (acdc / "database/training/patient005/Info.cfg").unlink()
    code, out, _ = bench("check", "acdc-lv", "--data", f"acdc={acdc}", "--json")
    tree = json.loads(out)
    assert (code, tree["cases"]) == (3, 12)
    assert tree["problems"] == [{"where": "training/patient005/Info.cfg", "text": "missing"}]


def test_pictures_and_pages_are_written(bench, write_masks, tmp_path):
    code, out, _ = bench(
        "check", write_masks(), "--png", tmp_path / "sheet.png", "--html", tmp_path / "page.html"
    )
    assert code == 0
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (6 * 192, 2 * 192)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<figure>") == 7
    assert "Röntgen &lt;b&gt; &amp; Co" in text
    assert f"written: {tmp_path / 'page.html'}" in out


def test_cases_that_cannot_be_read_are_left_out_of_pictures(bench, acdc, tmp_path):
    for path in sorted(acdc.rglob("*_gt.nii.gz"))[1:]:
        nibabel.save(nibabel.Nifti1Image(np.full((9, 10, 3), 7, np.int16), np.diag([1.5, 1.4, 8, 1])), path)
    files = ("--png", tmp_path / "sheet.png", "--html", tmp_path / "page.html")
    code, out, _ = bench("check", "acdc-lv", "--data", f"acdc={acdc}", *files)
    assert code == 3
    # Five of the same are shown, then how many more there are.
    assert out.count("found 7") == 6
    assert "and 8 others: label values must be in" in out
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (6 * 192, 192)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<figure>") == 1


def test_a_picture_that_cannot_be_written_is_one_line(bench, acdc, tmp_path):
    code, _, err = bench("check", "acdc-lv", "--data", f"acdc={acdc}", "--html", tmp_path / "no/page.html")
    assert code == 2
    assert err == f"bench: cannot write {tmp_path}/no/page.html: No such file or directory\n"


def test_a_path_gets_a_task_and_the_lines_of_a_suite_that_uses_it(bench, write_masks, cache):
    root = write_masks()
    code, out, _ = bench("check", root)
    assert code == 0
    assert out.splitlines()[-1].endswith("7 cases of 7 patients, no problem, no warning")
    task = guess_task(root, cache)
    lines = suite_lines(task, root)
    assert lines in out
    loaded = parse_suite(REST + lines, Path("own.yaml"))
    assert task_spec(loaded.suite.tasks[0]) == task
    assert loaded.data_roots() == {task.dataset: root}


def test_the_lines_of_any_task_are_valid(tmp_path):
    own = TaskSpec(
        name="12",
        dataset="12",
        format="nnunet",
        labels={"null": 1, "on": 2, "ä: #b": 3},
        background=(9,),
        channels=2,
        image_size=(64, 32),
        spacing_mm=(0.8, 1e-3),
        split=SplitSpec(test="official", folds=3),
    )
    for task in (own, TASKS.load("acdc-multiclass")):
        root = tmp_path / "it's: here"
        loaded = parse_suite(REST + suite_lines(task, root), Path("own.yaml"))
        assert task_spec(loaded.suite.tasks[0]) == task
        assert loaded.data_roots() == {task.dataset: root}


def test_a_task_wins_over_a_folder_of_its_name(bench, acdc, write_masks, tmp_path, monkeypatch):
    write_masks("acdc-lv")
    monkeypatch.chdir(tmp_path)
    code, out, _ = bench("check", "acdc-lv", "--data", f"acdc={acdc}")
    assert code == 0
    assert "acdc-lv (acdc)" in out


def test_a_suite_brings_its_tasks_and_roots(bench, acdc, write_masks, cache, tmp_path):
    root = write_masks()
    own = suite_lines(guess_task(root, cache), root).replace(
        "tasks:\n", f"  acdc: {acdc.name}\ntasks:\n  - acdc-rv\n"
    )
    suite = tmp_path / "own.yaml"
    suite.write_text(REST + own, encoding="utf-8")
    name = guess_task(root, cache).name
    assert bench("check", name, "--suite", suite)[0] == 0
    code, out, err = bench("prepare", "--suite", suite)
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == ["acdc-rv", name]
    code, _, err = bench("check", "acdc-lv", "--suite", suite)
    assert code == 2
    assert f"unknown task 'acdc-lv', did you mean 'acdc-rv'? (choices: acdc-rv, {name})" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "acdc-multiclas"], "unknown task 'acdc-multiclas', did you mean 'acdc-multiclass'?"),
        (["check", "no/where"], "and no folder of that name"),
        (["check", __file__], "and a file of that name"),
        (["check", "covid-lung", "--data", "covid"], "expected NAME=PATH"),
        (["check", "covid-lung", "--data", "covd=x"], "--data covd: unknown data set, did you mean 'covid'?"),
        (["check", "covid-lung", "--suite", "nowhere.yaml"], "nowhere.yaml"),
        (["check"], "Missing argument"),
        (["prepare"], "name a task to prepare, or a suite by --suite"),
        (["prepare", "acdc-multiclas"], "did you mean 'acdc-multiclass'?"),
        (["clean", "everything"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(bench, arguments, message):
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_data_that_nobody_gave_is_exit_code_3(bench, tmp_path):
    code, _, err = bench("check", "covid-lung")
    assert code == 3
    assert err.startswith(
        "bench: no data for task 'covid-lung': give the folder of 'covid' by --data covid=PATH"
    )
    code, _, err = bench("check", tmp_path)
    assert code == 3
    assert "holds no layout that is known" in err


def test_zero_cases_are_one_clear_line(bench, tmp_path):
    (tmp_path / "leer/database/training").mkdir(parents=True)
    for command in ("check", "prepare"):
        code, _, err = bench(command, "acdc-lv", "--data", f"acdc={tmp_path / 'leer'}")
        assert code == 3
        assert "no case found; looked for" in err
        assert err.count("\n") == 1


def test_a_patient_in_both_lists_is_one_clear_line(bench, acdc):
    training, testing = acdc / "database/training", acdc / "database/testing"
    shutil.copytree(training / "patient001", testing / "patient001")
    code, out, _ = bench("check", "acdc-lv", "--data", f"acdc={acdc}")
    assert code == 3
    assert "patient001_frame01" in out
    assert "is in both the training and the testing part" in out
    shutil.rmtree(testing / "patient001")
    (acdc / "database/groups.csv").write_text("image,patient\npatient001_frame01,Ö\npatient006_frame01,Ö\n")
    code, out, _ = bench("check", "acdc-lv", "--data", f"acdc={acdc}")
    assert code == 3
    assert "patient 'Ö' is in both the training and the testing part" in out


@pytest.mark.parametrize(("task", "name"), [("acdc-multiclass", "acdc"), ("covid-lung", "covid")])
def test_real_data_have_no_problem(bench, task, name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"no real data at <repository>/../shared/data/{name}")
    code, out, _ = bench("check", task, "--data", f"{name}={SHARED / name}")
    assert code == 0
    assert "no problem, no warning" in out.splitlines()[-1]
    assert len(TASKS.load(task).labels) == sum(
        line.startswith(tuple(TASKS.load(task).labels)) for line in out.splitlines()
    )


def test_several_data_sets_in_one_folder_are_told_apart(bench, acdc, write_masks):
    (acdc / "images").mkdir()
    for part in ("images", "masks"):
        shutil.copytree(write_masks(f"of {part}") / part, acdc / part, dirs_exist_ok=True)
    code, _, err = bench("check", acdc)
    assert code == 3
    assert f"holds several data sets; give one of them: {acdc / 'database'} (acdc), {acdc} (folder)" in err


def test_lines_for_a_suite_are_measured_on_the_files_that_are_fit(bench, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        for part in ("images", "masks"):
            volume = nibabel.Nifti1Image(
                rng.integers(0, 2, (40, 40, 3), np.uint8), np.diag([1.25, 1.25, 5, 1])
            )
            (tmp_path / "own" / part).mkdir(parents=True, exist_ok=True)
            nibabel.save(volume, tmp_path / "own" / part / f"c{number}.nii.gz")
    (tmp_path / "own/masks/c5.nii.gz").unlink()
    code, out, _ = bench("check", tmp_path / "own")
    assert code == 3
    assert "image_size: [64, 64]" in out
    assert "spacing_mm: [1.25, 1.25]" in out


def test_an_empty_folder_says_what_is_missing(bench, tmp_path):
    (tmp_path / "own/images").mkdir(parents=True)
    code, out, err = bench("check", tmp_path / "own")
    assert code == 3
    assert "needs masks or labels beside it, has neither" in out + err
