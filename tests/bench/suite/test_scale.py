"""The smoke version of a suite: what is made small, and what stays as it is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import SuiteError
from bench.suite import Suite, load_suite, parse_suite
from bench.suite.check import check_suite
from bench.suite.resolve import effective_space, resources, task_spec, train_config
from bench.suite.scale import smoke
from medseg.tasks import TASKS

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(path.stem for path in (ROOT / "suites").glob("*.yaml"))
TINY = {"features": [4, 8]}
RATE = {"low": 1e-4, "high": 1e-2, "log": True}


def read(tmp_path: Path = Path(), **sections: Any) -> Suite:
    tree = {"suite": "s", "tasks": ["covid-lung"], "models": ["unet"], "losses": ["ce"], **sections}
    return parse_suite(yaml.safe_dump(tree, sort_keys=False), tmp_path / "s.yaml").suite


def tuned(space: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"budget": {"trials": 50}, "space": {"train.learning_rate": RATE, **space}, **more}


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("known", [True, False])
def test_shipped_suites_stay_valid_and_name_what_they_named(name: str, known: bool) -> None:
    suite = load_suite(ROOT / "suites" / f"{name}.yaml").suite
    small = smoke(suite, {model.title: TINY for model in suite.models} if known else {})
    assert check_suite(small) == []
    assert small.suite == f"{name}-smoke"
    assert small.scale == "smoke"
    for section in ("tasks", "models", "losses"):
        assert [e.title for e in getattr(small, section)] == [e.title for e in getattr(suite, section)]
    assert small.claims == ()
    assert [task_spec(entry).labels for entry in small.tasks] == [task_spec(e).labels for e in suite.tasks]
    assert all(task_spec(entry).phantom for entry in small.tasks)


def test_the_example_of_the_docs_stays_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "suite.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example
    suite = parse_suite(example[1], tmp_path / "my-suite.yaml").suite
    small = smoke(suite, {"unet": TINY, "narrow U-Net": TINY})
    assert check_suite(small) == []
    assert small.data == {}
    assert small.models[2].options == {"width": 32}


def test_it_is_pure() -> None:
    suite = load_suite(ROOT / "suites" / "full.yaml").suite
    before = suite.model_dump_json()
    assert smoke(suite, {"unet": TINY}) == smoke(suite, {"unet": TINY})
    assert suite.model_dump_json() == before


def test_budgets_are_small_whatever_they_count() -> None:
    for budget in ({"trials": 500}, {"device_hours": 90.0}):
        small = smoke(read(tune=tuned({}, budget=budget)), {}).tune
        assert small is not None
        assert small.budget.trials == 2
        assert small.budget.device_hours is None
    small = smoke(read(tune=tuned({}, budget={"epochs": 600}, epochs=30)), {}).tune
    assert small is not None
    assert (small.budget.epochs, small.epochs) == (4, 2)


def test_the_second_trial_comes_from_the_sampler() -> None:
    small = smoke(read(tune=tuned({})), {}).tune
    assert small is not None
    assert (small.window, small.sampler.option("startup")) == (1, 1)
    small = smoke(read(tune=tuned({}, sampler="random")), {}).tune
    assert small is not None
    assert small.sampler.name == "random"


def test_folds_and_seeds_are_few_and_exist() -> None:
    suite = read(tune=tuned({}, fold=3), final={"folds": [3, 4], "seeds": [7, 8]})
    small = smoke(suite, {})
    assert small.tune is not None
    assert task_spec(small.tasks[0]).split.folds == 2
    assert (small.tune.fold, small.final.folds, small.final.seeds) == (1, (1,), (7,))


def test_a_model_keeps_its_options_unless_it_declares_tiny_ones() -> None:
    models = [{"name": "unet", "options": {"dropout": 0.1}}, {"name": "my:Net", "options": {"width": 32}}]
    small = smoke(read(models=models), {"unet": {"dropout": 0.1, **TINY}})
    assert [model.options for model in small.models] == [{"dropout": 0.1, **TINY}, {"width": 32}]
    # It may need images of that size.
    assert task_spec(small.tasks[0]).image_size == (256, 256)
    assert task_spec(smoke(read(), {"unet": TINY}).tasks[0]).image_size == (64, 64)


def test_training_is_short_whoever_wrote_how_long() -> None:
    models = [{"name": "unet", "train": {"recipe": "nnunet", "epochs": 900, "batch_size": 12}}]
    suite = read(models=models, train={"steps_per_epoch": 250, "weight_decay": 3e-5})
    small = smoke(suite, {})
    train, whole = train_config(small, small.models[0]), train_config(suite, suite.models[0])
    assert (train.epochs, train.steps_per_epoch, train.batch_size) == (2, 2, 4)
    assert (train.optimizer, train.schedule, train.weight_decay) == ("sgd", "polynomial", 3e-5)
    assert train.augment == whole.augment


@pytest.mark.parametrize(("written", "used"), [(16, 2), (1, 1), (None, None)])
def test_gradients_still_add_up_over_small_batches(written: int | None, used: int | None) -> None:
    small = smoke(read(train={"batch_size": 32, "micro_batch": written}), {})
    assert train_config(small).micro_batch == used


def test_patches_fit_into_small_images_and_are_smaller() -> None:
    suite = read(train={"patch_size": [192, 128]})
    assert train_config(smoke(suite, {"unet": TINY})).patch_size == (32, 32)
    assert train_config(smoke(suite, {})).patch_size == (192, 128)


def test_it_runs_on_a_cpu() -> None:
    models = ["unet", {"name": "resunet", "resources": {"cpus": 16, "gpus": 8, "processes": 8}}]
    suite = read(
        models=models,
        train={"precision": "fp16"},
        resources={"cpus": 12, "gpus": 1, "memory_gb": 90},
        tune=tuned({"train.precision": {"choices": ["fp16", "bf16"]}}),
    )
    small = smoke(suite, {})
    one, several = (resources(small, model) for model in small.models)
    assert (one.cpus, one.gpus, one.memory_gb, one.processes) == (1, 0, 1, 1)
    assert (several.cpus, several.gpus, several.memory_gb, several.processes) == (2, 0, 2, 2)
    assert train_config(small).precision == "bf16"
    assert list(effective_space(small, small.models[0], small.losses[0])) == ["train.learning_rate"]
    assert check_suite(small) == []


class TestSpaces:
    """What can still be searched."""

    def test_what_is_set_is_not_searched_nor_what_depends_on_it(self) -> None:
        suite = read(
            models=[{"name": "unet", "space": {"model.dropout": {"low": 0.0, "high": 0.5}}}, "resunet"],
            losses=["ce", {"name": "focal", "space": {"train.compile": {"choices": ["auto", "off"]}}}],
            tune=tuned(
                {
                    "model.features": {"choices": [[32, 64], [16, 32]]},
                    "train.beta1": {"low": 0.8, "high": 0.95, "when": {"model.features": [[16, 32]]}},
                }
            ),
        )
        small = smoke(suite, {"unet": TINY})
        assert check_suite(small) == []
        unet, resunet = small.models
        ce, focal = small.losses
        assert list(effective_space(small, unet, ce)) == ["model.dropout", "train.learning_rate"]
        assert list(effective_space(small, unet, focal)) == ["model.dropout", "train.learning_rate"]
        kept = ["model.features", "train.beta1", "train.learning_rate"]
        assert list(effective_space(small, resunet, ce)) == kept

    def test_a_searched_batch_size_stays_as_it_is(self) -> None:
        suite = read(
            train={"batch_size": 24}, tune=tuned({"train.batch_size": {"low": 8, "high": 32, "step": 8}})
        )
        small = smoke(suite, {})
        assert train_config(small).batch_size == 24
        assert "train.batch_size" in effective_space(small, small.models[0], small.losses[0])
        assert check_suite(small) == []


class TestTasks:
    """Data are generated, whatever their format."""

    def test_a_heart_keeps_its_field_of_view_and_its_metrics(self) -> None:
        task = task_spec(smoke(read(tasks=["acdc-rv"]), {"unet": TINY}).tasks[0])
        assert task.spacing_mm == pytest.approx((2.4, 2.4))
        assert (task.format, task.split.test) == ("acdc", "official")
        assert task.metrics == TASKS.load("acdc-rv").metrics

    @pytest.mark.parametrize("format_", ["nnunet", "decathlon", "folder", "acdc"])
    def test_other_data_become_shapes_in_a_folder(self, format_: str) -> None:
        entry = {
            "name": "abdomen",
            "format": format_,
            "labels": {"liver": 7, "spleen": 9},
            "channels": 2,
            "image_size": [512, 384],
            "spacing_mm": [0.8, 0.8],
            "window": [-160, 240],
            "groups": "who.csv",
            "patient_pattern": "(.*)",
            "split": {"file": "splits_final.json", "test": ["P1", "P2"], "folds": 7, "stratify": False},
            "metrics": ["dice", "nsd"],
            "tolerance_mm": {"liver": 3, "spleen": 2},
        }
        small = smoke(read(tasks=[entry]), {"unet": TINY})
        assert check_suite(small) == []
        task = task_spec(small.tasks[0])
        assert (task.format, task.channels, task.labels) == ("folder", 2, entry["labels"])
        assert (task.groups, task.patient_pattern, task.split.file) == (None, None, None)
        assert (task.split.test, task.split.folds, task.split.stratify) == ("official", 2, False)
        assert (task.window, task.tolerances()) == ((-160, 240), {"liver": 3, "spleen": 2})
        assert task.image_size == (64, 64)
        assert task.spacing_mm == pytest.approx((512 * 0.8 / 64, 384 * 0.8 / 64))

    @pytest.mark.parametrize(
        ("written", "used"), [(0.1, 0.1), (0.9, 0.34), (["P0001", "P0002"], 0.34), ("official", 0.34)]
    )
    def test_enough_patients_are_left_to_train_on(self, written: Any, used: float) -> None:
        task = {"name": "covid-lung", "split": {"test": written}}
        assert task_spec(smoke(read(tasks=[task]), {}).tasks[0]).split.test == used

    def test_small_images_stay_small(self) -> None:
        task = {"name": "covid-lung", "image_size": [32, 96]}
        assert task_spec(smoke(read(tasks=[task]), {"unet": TINY}).tasks[0]).image_size == (32, 64)


def test_a_file_cannot_say_that_it_is_small() -> None:
    with pytest.raises(
        SuiteError, match=r"scale is no key of a suite: give it to bench run, as --scale smoke"
    ):
        read(scale="smoke")


def test_claims_need_every_entry_on_every_task() -> None:
    claims = [{"id": "c", "task": "covid-lung", "better": {"loss": "ce"}, "than": {"loss": "dice"}}]
    with pytest.raises(SuiteError, match=r"claims need design full, .*, got pairwise"):
        read(losses=["ce", "dice"], claims=claims, design="pairwise")
    assert read(losses=["ce", "dice"], design="pairwise").design == "pairwise"
