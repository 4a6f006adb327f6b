import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from bench.errors import DataMissingError, SuiteError
from bench.plan import Plan, describe, make_plan, probe
from bench.plan.identity import trial_id
from bench.plan.totals import describe_totals
from bench.results.counting import Limits
from bench.suite import load_suite, parse_suite
from medseg.models import MODELS
from medseg.training.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "data"
TINY: dict[str, Any] = {
    "name": "phantom-lung",
    "image_size": [32, 32],
    "split": {"folds": 2},
    "phantom": {"patients": 8, "seed": 3},
}
UNET: dict[str, Any] = {"name": "unet", "options": {"features": [4, 8]}}
RESUNET: dict[str, Any] = {"name": "resunet", "options": {"features": [4, 8]}}
BASE: dict[str, Any] = {
    "suite": "s",
    "tasks": [TINY],
    "models": [UNET, RESUNET],
    "losses": ["dice", "bce"],
    "tune": {
        "budget": {"trials": 3},
        "space": {"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
    },
}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def answers_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers the probe's questions in this process, where torch is imported once, unless a test says otherwise."""

    def ask(requests: Sequence[probe.Request]) -> list[probe.Answer]:
        from medseg.training.probe import answer

        return [probe.Answer.model_validate(answer(r.to_json())) for r in requests]

    if "subprocess" not in request.function.__name__:
        monkeypatch.setattr(probe, "_ask", ask)


def planned(cache: Path, roots: dict[str, Path] | None = None, **changes: Any) -> Plan:
    tree = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
    return make_plan(parse_suite(yaml.safe_dump(tree, sort_keys=False), Path("s.yaml")), roots or {}, cache)


def refused(cache: Path, **changes: Any) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        planned(cache, **changes)
    return [f"{place}: {text}" for place, text in caught.value.problems]


def ids(plan: Plan) -> dict[tuple[str, str], str]:
    return {(study.task.name, study.entry): study.id for study in plan.studies}


def test_a_suite_becomes_one_study_per_entry_and_task_by_one_subprocess(cache: Path) -> None:
    plan = planned(cache)
    assert list(ids(plan)) == [
        ("phantom-lung", f"{model} + {loss}") for model in ("unet", "resunet") for loss in ("dice", "bce")
    ]
    assert len(set(ids(plan).values())) == 4
    study = plan.studies[0]
    assert study.models[0].component.options["features"] == [4, 8]
    assert study.models[0].component.options["dropout"] == 0.0
    assert study.models[0].parameters
    assert study.default_setting() == {"train.learning_rate": 1e-3}
    assert plan.data["phantom-lung"].patients <= plan.data["phantom-lung"].cases
    assert plan.data["phantom-lung"].root.is_dir()
    assert len(plan.hash) == 64


def test_planning_again_gives_the_same_plan_and_imports_no_torch(cache: Path) -> None:
    plan = planned(cache)
    text = yaml.safe_dump(BASE)
    code = (
        "import sys; from pathlib import Path;"
        "from bench.plan import make_plan; from bench.suite import parse_suite;"
        f"plan = make_plan(parse_suite({text!r}, Path('s.yaml')), {{}}, Path({str(cache)!r}));"
        "print(plan.hash, sorted({'torch', 'ray', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == [plan.hash, "[]\n"]


class TestStudyIds:
    """What a study's id depends on, and what it does not."""

    def test_adding_to_a_suite_keeps_the_other_studies(self, cache: Path) -> None:
        small = ids(planned(cache, models=[UNET], losses=["dice"]))
        large = ids(planned(cache, losses=["focal", "dice", "bce"]))
        assert small.items() <= large.items()

    @pytest.mark.parametrize(
        "change",
        [
            {"suite": "other", "description": "x"},
            {"tune": {**BASE["tune"], "budget": {"trials": 50}}},
            {"tune": {**BASE["tune"], "budget": {"device_hours": 2.5}}},
            {"final": {"folds": [0, 1], "seeds": [4, 5, 6]}},
            {"resources": {"cpus": 2, "gpus": 0.5, "memory_gb": 9}},
            {"models": [{**UNET, "label": "U-Net"}, {**RESUNET, "resources": {"cpus": 3}}]},
            {
                "claims": [
                    {"id": "c", "task": "phantom-lung", "better": {"loss": "dice"}, "than": {"loss": "bce"}}
                ]
            },
            # What is written out although it is the default.
            {"train": {"learning_rate": 1e-3, "epochs": 10}},
            {"train": {"recipe": "adam"}},
            {
                "tune": {
                    **BASE["tune"],
                    "sampler": {"name": "tpe", "startup": 10},
                    "window": 4,
                    "pruner": "none",
                }
            },
            {"keep_predictions": True},
            {"models": [{**UNET, "options": {"dropout": 0, "features": [4, 8]}}, RESUNET]},
            {"tasks": [{**TINY, "title": "Lungs"}]},
        ],
    )
    def test_names_budgets_and_resources_do_not_matter(self, cache: Path, change: dict[str, Any]) -> None:
        assert list(ids(planned(cache, **change)).values()) == list(ids(planned(cache)).values())

    @pytest.mark.parametrize(
        "change",
        [
            {"train": {"batch_size": 4}},
            {"train": {"augment": {"noise": 0.0}}},
            {"train": {"recipe": "adamw"}},
            {"train": {"patch_size": [16, 16]}},
            {"models": [{"name": name, "options": {"features": [4, 16]}} for name in ("unet", "resunet")]},
            {"losses": [{"name": name, "options": {"weights": "balanced"}} for name in ("ce_dice", "bce")]},
            {"tune": {**BASE["tune"], "seed": 1}},
            {"tune": {**BASE["tune"], "fold": 1}},
            {"tune": {**BASE["tune"], "epochs": 3}},
            {"tune": {**BASE["tune"], "sampler": "random"}},
            {"tune": {**BASE["tune"], "sampler": {"name": "tpe", "startup": 3}}},
            {"tune": {**BASE["tune"], "window": 8}},
            {"tune": {**BASE["tune"], "pruner": "median"}},
            {"tune": {**BASE["tune"], "constraints": {"gmacs": 1}}},
            {"tune": {**BASE["tune"], "space": {"train.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}}},
            {"tune": None},
            {"tasks": [{**TINY, "image_size": [32, 64]}]},
            {"tasks": [{**TINY, "phantom": {"patients": 8, "seed": 4}}]},
            {"tasks": [{**TINY, "split": {"folds": 2, "seed": 1}}]},
        ],
    )  # fmt: skip
    def test_what_defines_the_search_matters(self, cache: Path, change: dict[str, Any]) -> None:
        before, after = set(ids(planned(cache)).values()), set(ids(planned(cache, **change)).values())
        assert not before & after


def test_a_window_means_nothing_to_a_sampler_that_asks_for_no_score(cache: Path) -> None:
    blind = {**BASE["tune"], "sampler": "random"}
    assert ids(planned(cache, tune=blind)) == ids(planned(cache, tune={**blind, "window": 2}))


def test_a_grid_has_as_many_trials_as_settings(cache: Path) -> None:
    space = {
        "train.batch_size": {"low": 8, "high": 24, "step": 8},
        "train.optimizer": {"choices": ["adam", "sgd"]},
    }
    grid = {"budget": {"trials": 50}, "sampler": "grid", "space": space}
    assert {(s.tune_total, s.tune_limit) for s in planned(cache, tune=grid).studies} == {(6, 6)}
    few = {**grid, "budget": {"trials": 4}}
    assert {study.tune_total for study in planned(cache, tune=few).studies} == {4}


def test_a_sampler_that_cannot_search_the_space_is_refused_with_its_place(cache: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        planned(cache, tune={**BASE["tune"], "sampler": "cmaes"})
    place, text = caught.value.problems[0]
    assert place is not None
    assert text.startswith(
        "unet + dice: cmaes needs 2 ranges that are always active, got train.learning_rate;"
    )


def test_trials_of_an_enlarged_suite_are_found_again(cache: Path) -> None:
    def finals(plan: Plan) -> set[str]:
        return {
            trial_id(spec, plan.data[study.task.name].fingerprint, plan.data[study.task.name].split.hash)
            for study in plan.studies
            for spec in study.final_specs(study.default_setting())
        }

    small = finals(planned(cache, models=[UNET], final={"seeds": [0]}))
    large = finals(planned(cache, final={"seeds": [0, 1]}))
    assert small < large
    assert len(large) == 8


def test_the_hash_covers_what_the_suite_promises(cache: Path) -> None:
    claim = {"id": "c", "task": "phantom-lung", "better": {"loss": "dice"}, "than": {"loss": "bce"}}
    changes: list[dict[str, Any]] = [
        {},
        {"claims": [claim]},
        {"claims": [{**claim, "margin": 0.01}]},
        {"claims": [{**claim, "margin": 0.01, "equivalence": 0.02}]},
        {"claims": [{**claim, "task": "all"}]},
        {"tune": {**BASE["tune"], "budget": {"trials": 4}}},
        {"final": {"seeds": [0, 1]}},
        {"models": [UNET]},
    ]
    assert len({planned(cache, **change).hash for change in changes}) == len(changes)
    assert planned(cache, suite="other").hash == planned(cache).hash
    one, listed = ({**claim, "task": task} for task in ("phantom-lung", ["phantom-lung"]))
    assert planned(cache, claims=[one]).hash == planned(cache, claims=[listed]).hash
    assert planned(cache, models=[RESUNET, UNET]).hash == planned(cache).hash
    assert planned(cache, keep_predictions=True).hash == planned(cache).hash


def test_a_recipe_is_what_its_values_are(cache: Path) -> None:
    by_name = planned(cache, train={"recipe": "adamw", "weight_decay": 0.05}, losses=["dice"], tune=None)
    values = {**RECIPES["adamw"].values, "weight_decay": 0.05}
    written = planned(cache, train=values, losses=["dice"], tune=None)
    assert ids(by_name) == ids(written)
    study = by_name.studies[0]
    train = study.final_specs(study.default_setting())[0].train
    assert (train.optimizer, train.weight_decay, train.ema_decay) == ("adamw", 0.05, 0.999)


def test_an_axis_left_out_of_compare_is_searched(cache: Path) -> None:
    models = [{**UNET, "space": {"model.dropout": {"low": 0.0, "high": 0.3}}}, {**RESUNET, "label": "narrow"}]
    plan = planned(cache, models=models, compare=["loss"])
    assert [study.entry for study in plan.studies] == ["dice", "bce"]
    study = plan.studies[0]
    assert [p.name for p in study.space] == ["model", "model.dropout@unet", "train.learning_rate"]
    default = study.default_setting()
    assert default == {"model": "unet", "model.dropout@unet": 0.0, "train.learning_rate": 1e-3}
    assert study.tune_spec({**default, "model.dropout@unet": 0.25}).model.options["dropout"] == 0.25
    assert study.tune_spec({"model": "narrow"}).model.name == "resunet"
    assert describe(plan)[0]["parameters"] == " to ".join(
        f"{count:,}" for count in sorted(m.parameters or 0 for m in study.models)
    )


def test_the_largest_model_decides_what_a_trial_takes(cache: Path) -> None:
    models = [{**UNET, "resources": {"memory_gb": 1}}, {**RESUNET, "resources": {"cpus": 4}}]
    needs = planned(cache, models=models, compare=["loss"]).studies[0].resources
    assert (needs.cpus, needs.memory_gb) == (4, 2)
    assert [s.resources.cpus for s in planned(cache, models=models, losses=["dice"]).studies] == [1, 4]


def test_two_labels_of_one_entry_are_refused(cache: Path) -> None:
    twin = {**UNET, "label": "another U-Net"}
    with pytest.raises(SuiteError, match=r"unet \+ dice and another U-Net \+ dice .* are the same but for"):
        planned(cache, models=[UNET, twin])


def test_the_same_trial_of_two_studies_is_two_trials(cache: Path) -> None:
    study = planned(cache).studies[0]
    spec = study.tune_spec(study.default_setting())
    assert trial_id(spec, "d", "s", "one") != trial_id(spec, "d", "s", "two")


def test_without_tune_the_defaults_are_run(cache: Path) -> None:
    study = planned(cache, tune=None, final={"folds": [0, 1], "seeds": [0, 1]}).studies[0]
    assert (study.tune_total, study.final_total, study.space) == (0, 4, ())
    assert study.final_specs(study.default_setting())[0].train.epochs == 10


def test_models_that_do_not_fit_are_refused_before_anything_starts(cache: Path) -> None:
    found = refused(
        cache,
        tasks=[{**TINY, "image_size": [36, 36]}],
        models=[
            {"name": "unet", "options": {"features": [4, 8, 16, 32]}},
            {**RESUNET, "options": {"featurs": [1]}},
        ],
        losses=[{"name": "focal", "options": {"gamma": -1}}, "torch.nn:ReLU"],
        tune=None,
    )
    texts = [line.split(": ", 1)[1] for line in found]
    assert len(texts) == 4, texts
    assert texts[0].startswith("unet on phantom-lung: ")
    assert "divisible by 8, got 36 x 36" in texts[0]
    assert texts[1].startswith(
        "resunet on phantom-lung: model.featurs: unknown option 'featurs', did you mean 'features'"
    )
    assert texts[2].startswith("focal on phantom-lung: loss.gamma: ")
    assert texts[3].startswith("torch.nn:ReLU on phantom-lung: ")


def test_the_place_of_a_bad_option(cache: Path) -> None:
    text = (
        "suite: s\ntasks:\n  - {name: phantom-lung, phantom: {patients: 8, seed: 3}, split: {folds: 2}}\n"
        "models:\n  - name: unet\n    options:\n      features: [4, 8]\n      dropout: 3\nlosses: [dice]\n"
    )
    with pytest.raises(SuiteError, match=r"^s\.yaml:8:16: unet on phantom-lung: model\.dropout: "):
        make_plan(parse_suite(text, Path("s.yaml")), {}, cache)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.dropout": {"low": 0.0, "high": 2.0}}, "unet on phantom-lung: model.dropout: "),
        ({"model.features": {"choices": [[4, 8], [4]]}}, "unet on phantom-lung: model.features: "),
        (
            {"model.droput": {"low": 0.0, "high": 0.1}},
            "unet on phantom-lung: model.droput: unknown option 'droput'",
        ),
        (
            {"loss.gamma": {"low": 1.0, "high": 3.0}},
            "dice on phantom-lung: loss.gamma: unknown option 'gamma'",
        ),
        (
            {"model.dropout": {"low": 0.1, "high": 0.3}},
            "the space must hold the default model.dropout = 0.0 of unet",
        ),
        (
            {"model.features": {"choices": [[8, 16]]}},
            "the space must hold the default model.features = [4, 8]",
        ),
    ],
)
def test_searched_options_are_tried_at_their_ends(cache: Path, space: dict[str, Any], message: str) -> None:
    found = refused(cache, models=[UNET], losses=["dice"], tune={**BASE["tune"], "space": space})
    assert any(line.split(": ", 1)[1].startswith(message) for line in found), found
    assert all(int(line.split(":")[1]) > 20 for line in found), found


def test_missing_data_name_the_line_and_how_to_give_them(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    with pytest.raises(DataMissingError) as caught:
        planned(cache, tasks=[TINY, "acdc-lv", "covid-lung"], tune=None)
    first, second = str(caught.value).splitlines()
    assert first.startswith("s.yaml:12:3: ")
    assert "--data acdc=PATH" in first
    assert second.startswith("s.yaml:13:3: ")
    assert "--data covid=PATH" in second
    assert caught.value.exit_code == 3


def test_what_takes_long_begins_once_all_data_are_there(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def plan_with(tasks: list[Any], **changes: Any) -> None:
        tree = {**BASE, "tasks": tasks, **changes}
        loaded = parse_suite(yaml.safe_dump(tree, sort_keys=False), Path("s.yaml"))
        make_plan(loaded, {}, cache, begin=lambda: begun.append("data are there"))

    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    with pytest.raises(DataMissingError):
        plan_with([TINY, "acdc-lv"])
    assert begun == []
    plan_with([TINY])
    assert begun == ["data are there"]


def test_too_few_patients_for_the_folds(cache: Path) -> None:
    with pytest.raises(DataMissingError, match=r"^s\.yaml:3:3: .*9 folds need at least 9 patients"):
        planned(cache, tasks=[{**TINY, "split": {"folds": 9}}], tune=None)


def test_everything_wrong_is_said_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    found = refused(
        cache,
        roots={"acdcc": Path("/x")},
        tasks=[TINY, "acdc-lv"],
        models=[{"name": "unet", "options": {"depth": 3}}],
        tune=None,
    )
    assert len(found) == 4, found
    assert found[0].startswith(
        "None: --data acdcc: unknown data set, did you mean 'acdc'? (choices: acdc, covid"
    )
    assert "no data for task 'acdc-lv'" in found[1]
    assert sum("unknown option 'depth'" in line for line in found) == 2


def test_roots_of_the_command_line_win_over_the_environment_and_that_over_the_suite(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lungs = planned(cache, tune=None).data["phantom-lung"].root
    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    task = {"name": "covid-lung", "image_size": [32, 32], "split": {"folds": 2}}
    (tmp_path / "empty").mkdir()
    common: dict[str, Any] = {"tasks": [task], "tune": None}

    by_suite = planned(cache, data={"covid": str(lungs)}, **common)
    assert by_suite.data["covid-lung"].root == lungs

    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "covid").symlink_to(lungs.parent)
    monkeypatch.setenv("MEDSEG_DATA", str(tmp_path / "env"))
    by_environment = planned(cache, data={"covid": str(tmp_path / "empty")}, **common)
    assert by_environment.data["covid-lung"].fingerprint == by_suite.data["covid-lung"].fingerprint
    with pytest.raises(DataMissingError, match="does not hold the data set 'covid'"):
        planned(cache, roots={"covid": tmp_path / "empty"}, **common)


def test_the_resolved_suite_is_json_without_paths(cache: Path) -> None:
    claim = {"id": "c", "task": "phantom-lung", "better": {"loss": "dice"}, "than": {"loss": ["bce"]}}
    more = {**claim, "id": "d", "task": "all", "equivalence": 0.01}
    plan = planned(cache, claims=[claim, more], data={"acdc": "/secret/place"})
    text = json.dumps(plan.resolved(), allow_nan=False)
    assert "/secret/place" not in text
    assert str(cache) not in text
    resolved = json.loads(text)
    assert resolved["claims"] == [{**one, "metric": "dice", "margin": 0.0} for one in (claim, more)]
    assert resolved["plan"] == plan.hash
    assert [study["id"] for study in resolved["studies"]] == [study.id for study in plan.studies]
    assert resolved["tasks"][0]["image_size"] == [32, 32]
    assert [Limits(**study["counts"]) for study in resolved["studies"]] == [s.limits for s in plan.studies]


def test_a_plan_is_described_row_by_row(cache: Path) -> None:
    plan = planned(cache, final={"seeds": [0, 1]})
    rows = describe(plan)
    assert [row["entry"] for row in rows] == [study.entry for study in plan.studies]
    assert [row["tuning"] for row in rows] == [3] * 4
    assert [row["final"] for row in rows] == [2] * 4
    by_time = planned(cache, tune={**BASE["tune"], "budget": {"device_hours": 0.5}})
    assert describe(by_time)[0]["tuning"] == "0.5 device hours"


@pytest.mark.parametrize(("name", "studies"), [("quick", 8), ("real-mini", 4), ("full", 140)])
def test_shipped_suites_are_valid(name: str, studies: int) -> None:
    suite = load_suite(ROOT / "suites" / f"{name}.yaml").suite
    assert suite.suite == name
    assert len(suite.tasks) * len(suite.models) * len(suite.losses) == studies


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data are not beside the repository")
def test_the_real_data_are_planned(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSEG_DATA", str(SHARED))
    plan = make_plan(load_suite(ROOT / "suites" / "real-mini.yaml"), {}, cache)
    assert len(plan.studies) == 4
    assert plan.data["acdc-multiclass"].patients == 16
    assert len(plan.data["acdc-multiclass"].split.test) == 4


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data are not beside the repository")
def test_the_full_suite_is_planned_on_real_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are tried tiny and on small images: `bench plan` takes half a minute to build them as they are."""

    def ask(requests: Sequence[probe.Request]) -> list[probe.Answer]:
        from medseg.training.probe import answer

        trees = [{**request.to_json(), "image_size": [32, 32]} for request in requests]
        for tree in trees:
            if tree["kind"] == "model":
                tree["options"] = {**MODELS.load(tree["name"]).narrow, **tree["options"]}
        return [probe.Answer.model_validate(answer(tree)) for tree in trees]

    monkeypatch.setattr(probe, "_ask", ask)
    monkeypatch.setenv("MEDSEG_DATA", str(SHARED))
    plan = make_plan(load_suite(ROOT / "suites" / "full.yaml"), {}, tmp_path)
    assert len(plan.studies) == 140
    patients = {name: (data.patients, len(data.split.test)) for name, data in plan.data.items()}
    assert patients == dict.fromkeys(("acdc-lv", "acdc-rv", "acdc-multiclass"), (16, 4)) | {
        "covid-lung": (18, 4)
    }
    assert describe_totals(plan)[:2] == [
        "tuning: 2,800 trials, 56,000 epochs, 14,000,000 steps, 224,000,000 slices seen",
        "final: 2,100 trials, 210,000 epochs, 52,500,000 steps, 840,000,000 slices seen",
    ]


def own_data(root: Path, patients: int = 6) -> dict[str, Any]:
    """A plain folder of two pictures per patient, and the task that a suite would define for it."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for patient in range(patients):
        for view in "ab":
            name = f"P{patient}_{view}.png"
            Image.fromarray(rng.integers(0, 255, (32, 32), np.uint8)).save(root / "images" / name)
            Image.fromarray(rng.integers(0, 2, (32, 32), np.uint8) * 255).save(root / "masks" / name)
    return {
        "name": "my-task",
        "format": "folder",
        "labels": {"nodule": 255},
        "image_size": [32, 32],
        "file_spacing_mm": [0.5, 0.5],
        "patient_pattern": "^(P[0-9]+)_",
        "split": {"test": 0.34, "folds": 2},
    }


def test_a_suite_defines_its_own_task(cache: Path, tmp_path: Path) -> None:
    task = own_data(tmp_path / "mine")
    plan = planned(cache, tasks=[task], data={"my-task": str(tmp_path / "mine")})
    data = plan.data["my-task"]
    assert (data.cases, data.patients, len(data.split.test)) == (12, 6, 2)
    assert all(name.startswith("P") and "_" not in name for fold in data.split.folds for name in fold)
    assert plan.resolved()["tasks"][0]["patients_from"] == "pattern"
    renamed = {**task, "name": "other", "dataset": "x"}
    again = planned(cache, roots={"x": tmp_path / "mine"}, tasks=[renamed])
    assert sorted(ids(again).values()) == sorted(ids(plan).values())


def test_a_plan_says_that_patients_are_not_known(cache: Path, tmp_path: Path) -> None:
    task = own_data(tmp_path / "mine")
    del task["patient_pattern"]
    plan = planned(cache, tasks=[task], data={"my-task": str(tmp_path / "mine")})
    data = plan.data["my-task"]
    assert (data.patients, data.patients_from) == (12, "images")
    assert data.notes[0].startswith("nothing says who is who: each of 12 images counts as its own patient")
    assert plan.resolved()["tasks"][0]["patients_from"] == "images"


def test_slices_without_patients_are_not_planned(cache: Path, tmp_path: Path) -> None:
    task = own_data(tmp_path / "mine")
    del task["patient_pattern"]
    for path in [*(tmp_path / "mine").rglob("*_a.png"), *(tmp_path / "mine").rglob("*_b.png")]:
        path.rename(path.with_stem(path.stem.replace("_a", "_slice1").replace("_b", "_slice2")))
    with pytest.raises(DataMissingError, match=r"images/P0_slice1\.png: .*12 images are of 6 patients"):
        planned(cache, tasks=[task], data={"my-task": str(tmp_path / "mine")})


def test_files_that_a_task_names_are_found_beside_the_suite(cache: Path, tmp_path: Path) -> None:
    task = own_data(tmp_path / "mine")
    del task["patient_pattern"]
    (tmp_path / "who.csv").write_text(
        "image,patient\n" + "".join(f"P{i}_{v},Q{i}\n" for i in range(6) for v in "ab")
    )
    (tmp_path / "split.json").write_text(
        json.dumps({"test": ["Q0"], "folds": [["Q1", "Q2"], ["Q3", "Q4", "Q5"]]})
    )
    task |= {"groups": "who.csv", "split": {"file": "split.json"}}
    tree = {**BASE, "tasks": [task], "data": {"my-task": "mine"}}
    loaded = parse_suite(yaml.safe_dump(tree, sort_keys=False), tmp_path / "s.yaml")
    plan = make_plan(loaded, {}, cache)
    assert plan.data["my-task"].split.folds == (("Q1", "Q2"), ("Q3", "Q4", "Q5"))
    assert str(tmp_path) not in json.dumps(plan.resolved())
    tree["final"] = {"folds": [0, 2]}
    loaded = parse_suite(yaml.safe_dump(tree, sort_keys=False), tmp_path / "s.yaml")
    with pytest.raises(DataMissingError, match="fold must be less than the 2 folds of my-task, got 2"):
        make_plan(loaded, {}, cache)


def test_a_leak_in_the_data_is_refused_before_anything_starts(cache: Path, tmp_path: Path) -> None:
    task = own_data(tmp_path / "mine")
    shutil.copy(tmp_path / "mine/images/P0_a.png", tmp_path / "mine/images/P1_b.png")
    split = {"test": ["P0"], "folds": 2}
    with pytest.raises(
        DataMissingError, match=r"'P0_a' \(patient P0, test\) and 'P1_b' \(patient P1, fold ."
    ):
        planned(cache, tasks=[{**task, "split": split}], data={"my-task": str(tmp_path / "mine")})
