import errno
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from filelock import FileLock

from medseg.training import command, launch, rows
from medseg.training.checkpoint import load_weights
from medseg.training.command import EXIT_CODES, default_out, run
from medseg.training.command_report import Report
from medseg.training.folder import run_one
from medseg.training.loop import Loop
from medseg.training.resolve import make_spec
from medseg.training.stop import StopRequest

DOCS = Path(__file__).parents[3] / "docs" / "training.md"
TASK = {
    "image_size": [32, 32],
    "phantom": {"patients": 12, "seed": 3},
    "split": {"test": 0.25, "folds": 3, "stratify": False},
    "metrics": ["dice", "hd95", "pixel_accuracy"],
}
TRAIN = {"epochs": 3, "steps_per_epoch": 4, "batch_size": 4, "learning_rate": 0.01}
ARGS = [
    *("--task", "phantom-lung", "--model", "unet", "--loss", "ce_dice", "--device", "cpu", "--threads", "1"),
    *(part for key, value in TASK.items() for part in ("--task-option", f"{key}={json.dumps(value)}")),
    *("-m", "features=[4,8]", "-t", "learning_rate=1e-2", "--epochs", "3", "--steps-per-epoch", "4"),
    *("--batch-size", "4"),
]
WITHOUT_RAY = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ray", "optuna", "statsmodels"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module", autouse=True)
def quiet_machine(one_thread):
    return


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The command in a process of its own, in which ray, optuna and statsmodels cannot be imported."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "sitecustomize.py").write_text(WITHOUT_RAY)
    done = subprocess.run(
        [sys.executable, "-m", "medseg.training", *ARGS, "--out", "out", "--keep-predictions"],
        cwd=folder,
        env={**command.os.environ, "PYTHONPATH": f"{folder}:{Path(__file__).parents[3]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stdout


@pytest.fixture
def out(first):
    shutil.copytree(first[0], "out")
    return Path("out")


def spec(**changes):
    options = {"task_options": TASK, "model_options": {"features": [4, 8]}, "train": TRAIN, **changes}
    return make_spec("phantom-lung", "unet", "ce_dice", **options)


# Validation cases of the task: a trial asks whether to stop before every step and after every case.
CASES = 3


def stop_at(step):
    calls = iter(range(10**9))
    return lambda: next(calls) == step


def record(folder="out"):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(Path(folder, "trial.json").read_text(), parse_constant=refuse)


def numbers(folder):
    cases, curves = (pd.read_parquet(Path(folder, name)) for name in ("cases.parquet", "curves.parquet"))
    return cases, curves.drop(columns="wall_s")


def test_help_imports_no_torch_and_names_every_exit_code():
    heavy = ("torch", "pandas", "pyarrow", "scipy", "accelerate")
    code = f"""if True:
        import sys
        from medseg.training.command import run
        assert run(["--help"]) == 0
        print([name for name in {heavy!r} if name in sys.modules])"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.endswith("[]\n")
    assert all(f"{code} {text.split()[0]}" in " ".join(output.split()) for code, text in EXIT_CODES.items())


def test_the_docs_have_every_option_exit_code_and_file(first):
    text = DOCS.read_text()
    names = [name for option in command.cli.params for name in (*option.opts, *option.secondary_opts)]
    assert [name for name in names if f"`{name}" not in text] == []
    assert all(f"| {code} | {meaning.partition(':')[0]}" in text for code, meaning in EXIT_CODES.items())
    files = {path.name for path in first[0].glob("[!.]*")}
    assert all(f"| `{name}" in text for name in files)


def test_a_complete_trial_leaves_rows_weights_and_predictions(first):
    folder, _ = first
    found = record(folder)
    assert found["status"] == "complete"
    assert found["spec"] == json.loads(spec().model_dump_json())
    assert found["summary"]["device"] == "cpu"
    assert found["summary"]["versions"]["torch"] == torch.__version__
    assert found["command"][:3] == ["python", "-m", "medseg.training"]
    assert len(found["data"]) == 64
    assert len(found["split"]) == 16
    cases, curves = numbers(folder)
    assert list(curves["epoch"]) == [1, 2, 3]
    assert set(cases["part"]) == {"validation", "test"}
    assert load_weights(folder / "best.safetensors")
    assert any((folder / "predictions").iterdir())
    assert not (folder / "last.safetensors").exists()
    assert not list(folder.glob(".*-*"))


def test_the_table_shows_means_over_patients(first):
    folder, output = first
    cases, _ = numbers(folder)
    dice = cases[(cases["part"] == "test") & (cases["metric"] == "dice")].groupby("patient")["value"].mean()
    line = next(line.split() for line in output.splitlines() if line.startswith("test"))
    assert line[:3] == ["test", "lung", f"{dice.mean():.4f}"]
    assert line[-4:] == [str(len(dice)), "0", "0", "0"]


def test_there_is_a_line_per_epoch_and_one_of_what_it_cost(first):
    _, output = first
    lines = [line.split() for line in output.splitlines()]
    assert [line[:2] for line in lines if line and line[0].endswith("/3")] == [
        ["1/3", "4"],
        ["2/3", "8"],
        ["3/3", "12"],
    ]
    assert "samples/s, data" in output
    assert "parameters" in output
    assert output.splitlines()[-1].startswith("files in out: trial.json, cases.parquet")
    assert "\x1b" not in output


def test_the_same_command_again_prints_what_is_complete(first, out, capsys):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert run([*ARGS, "--out", "out"]) == 0
    printed = capsys.readouterr()
    assert "out is complete already" in printed.err
    assert (
        printed.out[printed.out.index("part ") :].splitlines()[:4]
        == (first[1][first[1].index("part ") :].splitlines()[:4])
    )
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed <= {out / ".lock"}


def test_json_is_one_object_and_nothing_else(out, capsys):
    assert run([*ARGS, "--out", "out", "--json", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["summary"]["steps"] == 12
    assert printed.err == ""


def test_stopped_and_continued_equals_unbroken(first, capsys):
    stopped = run_one(spec(), Path("out"), should_stop=stop_at(6 + CASES), device="cpu")
    assert stopped.status == "interrupted"
    assert record()["status"] == "interrupted"
    assert [row["epoch"] for row in stopped.curves] == [1]
    assert run([*ARGS, "--out", "out"]) == 0
    assert "goes on from step 6" in capsys.readouterr().err
    for broken, unbroken in zip(numbers("out"), numbers(first[0]), strict=True):
        pd.testing.assert_frame_equal(broken, unbroken, check_exact=True)
    weights = [Path(folder, "best.safetensors").read_bytes() for folder in ("out", first[0])]
    assert weights[0] == weights[1]


def test_a_killed_trial_goes_on_though_its_record_says_running(capsys):
    run_one(spec(), Path("out"), should_stop=stop_at(2), device="cpu")
    Path("out/trial.json").write_text(json.dumps({**record(), "status": "running"}))
    assert run([*ARGS, "--out", "out", "--timeout", "1e-9"]) == 1
    assert "goes on from step 2" in capsys.readouterr().err


def test_a_signal_saves_the_trial_and_says_how_to_go_on(monkeypatch, capsys):
    monkeypatch.setattr(Report, "epoch", lambda self, epoch: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    assert run([*ARGS, "--out", "out"]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    printed = capsys.readouterr()
    assert "stopped after step 4, checkpoint saved; the same command goes on" in printed.out
    assert "once more stops at once" in printed.err
    assert Path("out/last.safetensors").exists()


def test_a_second_signal_stops_at_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("medseg.training.stop.time.monotonic", lambda: now[0])
    with StopRequest(lambda: None) as stop:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)  # There is nothing to save yet.
        assert not stop.asked()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)  # torchrun passes on what the terminal sent.
        assert stop.asked()
        now[0] = 2.0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_time_limit_keeps_the_checkpoint(capsys):
    assert run([*ARGS, "--out", "out", "--timeout", "1e-9"]) == 1
    assert "timeout: the trial ran longer than 1e-09 s; the same command goes on" in capsys.readouterr().out
    assert record()["status"] == "timeout"
    assert Path("out/last.safetensors").exists()


def test_a_diverged_trial_is_a_result(capsys):
    wild = [
        "-t",
        "learning_rate=1e30",
        "-t",
        "clip_norm=null",
        "-t",
        "optimizer=sgd",
        "-t",
        "schedule=constant",
    ]
    args = [arg for arg in ARGS if arg not in ("-t", "learning_rate=1e-2")]
    assert run([*args, *wild, "--out", "out", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"out": "out", **record()}
    assert printed["status"] == "diverged"
    assert printed["summary"]["value"] is None
    assert "not finite at step" in printed["detail"]


def test_a_crash_is_shown_and_recorded(monkeypatch, capsys):
    step = Loop._step

    def fail(self, rate):
        if self.progress.step == 5:
            raise ZeroDivisionError("by a plug-in")
        return step(self, rate)

    monkeypatch.setattr(Loop, "_step", fail)
    assert run([*ARGS, "--out", "out"]) == 1
    printed = capsys.readouterr()
    assert printed.err.endswith("crashed: ZeroDivisionError: by a plug-in\n")
    assert "Traceback" in printed.err
    assert record()["status"] == "crashed"
    assert len(pd.read_parquet("out/curves.parquet")) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "unett"], "unknown model 'unett', did you mean 'unet'?"),
        (["--task", "phantom-lun"], "unknown task 'phantom-lun', did you mean 'phantom-lung'?"),
        (["-m", "featurs=[4]"], "model.featurs: unknown option 'featurs', did you mean 'features'?"),
        (["-l", "smooth=-1"], "loss.smooth: "),
        (
            ["-t", "learning_rat=1"],
            "train.learning_rat: unknown key 'learning_rat', did you mean 'learning_rate'",
        ),
        (["-t", "augment.noize=1"], "train.augment.noize: unknown key 'noize', did you mean 'noise'?"),
        (["-t", "momentum=1.5"], "train.momentum: must be less than 1, got 1.5"),
        (["-t", "optimizer=lion"], "train.optimizer: must be 'adam', 'adamw' or 'sgd', got 'lion'"),
        (["--epochs", "3", "-t", "warmup=no"], "train.warmup: must be a number, got 'no'"),
        (["--recipe", "nnunett"], "unknown recipe 'nnunett', did you mean 'nnunet'?"),
        (["--task-option", "image_size=[33,32]"], "needs image sides divisible by 2, got 33 x 32"),
        (["--task-option", "split.test=1.5"], "split.test must lie between 0 and 1, got 1.5"),
        (
            ["--task-option", "metrics=[iou]"],
            "task.selection_metric: must be one of the task's metrics (iou)",
        ),
        (
            ["--task-option", "selection_metric=pixel_accuracy"],
            "task.selection_metric: pixel_accuracy is only reported",
        ),
        (
            ["--task-option", "metrics=[dice, volume_ml]"],
            "task.metrics.1: volume_ml is a volume in mL and needs unit mm, but phantom-lung has unit px",
        ),
        (
            ["--task-option", "metrics=[dice, nsd]", "--task-option", "tolerance_mm=null"],
            "task.tolerance_mm: nsd needs tolerance_mm, the distance in px",
        ),
        (["-t", "patch_size=[64,64]"], "train.patch_size: must be at most the task's image_size 32 x 32"),
        (["--fold", "3"], "fold: must be less than the 3 folds of phantom-lung, got 3"),
        (["--precision", "fp16"], "train.precision: fp16 needs a GPU"),
        (["--data", "nowhere"], "no folder "),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(args, message, capsys):
    assert run([*ARGS, *args]) == 3
    printed = capsys.readouterr()
    assert printed.err.startswith("medseg.training: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not list(Path().glob("runs/*"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-t", "epochs"], "--train: expected KEY=VALUE"),
        (["-m", "features=[4,"], "--model-option: features=[4,: not a YAML value"),
        (["-t", "epochs=4"], "--epochs 3 and --train epochs exclude each other"),
        (["--epoch", "3", "--bogus"], "No such option"),
        (["--fold", "-1"], "Invalid value for '--fold'"),
    ],
)
def test_a_wrong_command_line(args, message, capsys):
    assert run([*ARGS, *args]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_not_replaced(capsys):
    assert run([*ARGS, "--device", "cuda"]) == 3
    assert "device: cuda needs a GPU" in capsys.readouterr().err


def test_another_trial_in_the_folder_is_refused(out, capsys):
    assert run([*ARGS, "--out", "out", "-t", "warmup=0.1", "--seed", "2"]) == 3
    assert "out: holds another trial (train.warmup is 0.0 there and 0.1 here)" in capsys.readouterr().err


@pytest.mark.parametrize("origin", ["data", "split"])
def test_the_same_trial_on_other_data_is_refused(out, origin, capsys):
    Path("out/trial.json").write_text(json.dumps({**record(), origin: "other"}))
    assert run([*ARGS, "--out", "out"]) == 3
    assert f'holds this trial on other data ({origin} is "other" there' in capsys.readouterr().err


def test_a_checkpoint_of_other_code_is_refused(capsys):
    run_one(spec(), Path("out"), should_stop=stop_at(2), device="cpu")
    Path("out/trial.json").write_text(json.dumps({**record(), "code": "other"}))
    assert run([*ARGS, "--out", "out"]) == 3
    assert "checkpoint was made by other code of medseg" in capsys.readouterr().err


def test_restart_replaces_what_is_there(out):
    other = [*ARGS, "--out", "out", "--restart", "--phase", "tune", "--no-keep-weights", "--quiet"]
    assert run(other) == 0
    assert record()["spec"]["phase"] == "tune"
    assert set(pd.read_parquet("out/cases.parquet")["part"]) == {"validation"}
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        "cases.parquet",
        "curves.parquet",
        "trial.json",
    ]


@pytest.mark.parametrize("restart", [[], ["--restart"]])
def test_files_of_others_are_never_touched(restart, capsys):
    Path("out/predictions").mkdir(parents=True)
    assert run([*ARGS, "--out", "out", *restart]) == 3
    assert "out: has predictions but no trial.json; choose another --out" in capsys.readouterr().err
    Path("out/trial.json").write_text("{}")
    assert run([*ARGS, "--out", "out", *restart]) == 3
    assert "trial.json: is not a trial of this command" in capsys.readouterr().err
    assert Path("out/predictions").is_dir()


def test_two_at_once_in_one_folder_are_refused(out, capsys):
    with FileLock(out / ".lock"):
        assert run([*ARGS, "--out", "out"]) == 3
    assert "another process is at work on this trial" in capsys.readouterr().err


def test_a_full_disk_is_told_apart(monkeypatch, capsys):
    def full(path, write):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(rows, "write_atomic", full)
    assert run([*ARGS, "--out", "out"]) == 4
    assert "No space left on device" in capsys.readouterr().err


def test_other_processes_of_a_trial_say_and_write_nothing(monkeypatch, capsys):
    monkeypatch.setattr(launch, "rank", lambda: 1)
    assert run([*ARGS, "--out", "out", "--timeout", "1e-9"]) == 1
    assert run([*ARGS, "--model", "unett"]) == 3
    assert capsys.readouterr() == ("", "")
    assert not Path("out/trial.json").exists()


@pytest.mark.parametrize(
    ("world", "number", "wanted"), [("2", "1", 1), ("1", "1", 0), (None, "1", 0), ("2", "x", 0)]
)
def test_a_rank_counts_only_among_several(monkeypatch, world, number, wanted):
    monkeypatch.setenv("RANK", number)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world:
        monkeypatch.setenv("WORLD_SIZE", world)
    assert launch.rank() == wanted


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    found = []
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    monkeypatch.setattr(command.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for processes in ("1", "2", "16"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        command._set_threads(None)
    command._set_threads(3)
    assert found == [8, 4, 1, 3]


def test_equal_trials_have_one_folder():
    assert default_out(spec()) == default_out(spec(train={**TRAIN, "recipe": "adam"}))
    assert default_out(spec(seed=1)) != default_out(spec())
    assert default_out(spec()).as_posix().startswith("runs/phantom-lung-unet-ce_dice-")
    odd = spec().model_copy(update={"model": spec().model.model_copy(update={"name": "monai:UNet"})})
    assert ":" not in default_out(odd).name


def test_a_recipe_gives_way_to_what_is_written():
    train = spec(train={"recipe": "nnunet", "epochs": 2, "augment": {"noise": 0.5}}).train
    assert (train.optimizer, train.epochs, train.augment.noise) == ("sgd", 2, 0.5)
    assert train.augment.rotation_deg == 180
