import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.identity import (
    canonical_json,
    code_fingerprint,
    digest,
    setting_id,
    study_id,
    task_identity,
    tree_fingerprint,
    trial_id,
)
from medseg.config import Component
from medseg.tasks import TASKS, SplitSpec, TaskSpec
from medseg.training.config import AugmentConfig, TrainConfig, TrialSpec

SPEC = TrialSpec(
    task=TASKS.load("acdc-multiclass"),
    model=Component(name="unet", options={"features": [8, 16], "dropout": 0.0}),
    loss=Component(name="focal", options={"gamma": 2.0}),
    phase="tune",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(inner, rng)) for key, inner in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(inner, rng) for inner in value] if isinstance(value, list) else value


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: Any, rng: random.Random) -> None:
    assert canonical_json(shuffled(value, rng)) == canonical_json(value)


@given(VALUES)
def test_canonical_json_is_json_of_an_equal_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_have_one_text_each(first: float, second: float) -> None:
    assert (canonical_json(first) == canonical_json(second)) == (first == second)


def test_one_is_one_but_true_is_not() -> None:
    assert canonical_json(1.0) == canonical_json(1) == "1"
    assert canonical_json(-0.0) == "0"
    assert canonical_json(True) == "true"
    assert canonical_json((1, 2)) == canonical_json([1, 2])
    assert canonical_json(1e-4) == "0.0001"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_numbers_must_be_finite(value: Any) -> None:
    with pytest.raises(ValueError, match="needs finite numbers"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("value", "message"), [({1: 2}, "text keys, got 1"), ({"a": {3}}, "cannot hold set")]
)
def test_only_json_values(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        canonical_json(value)


def test_a_known_digest() -> None:
    """Pins the format: a change of it would make every stored result look new. By sha256sum of the text."""
    assert digest({"b": [1.0, None], "a": "ü"}) == "9d57496cc00f5bc8"
    assert setting_id({"train.learning_rate": 0.001}) == setting_id({"train.learning_rate": 1e-3})
    assert setting_id({}) != setting_id({"train.learning_rate": 0.001})


HEART_ID, HEART_STUDY = "d2a1c7edee5679e9", "fc5f9d998dac68f0"
HEART = TaskSpec(
    name="heart",
    dataset="d",
    format="acdc",
    labels={"RV": 1, "LV": 3},
    image_size=(64, 96),
    spacing_mm=(1.5, 1.5),
    metrics=("dice", "hd95"),
)


def test_ids_of_tasks_stay_what_they_are() -> None:
    """Pinned: with another id, what was trained before would not be found again."""
    assert digest(task_identity(HEART)) == HEART_ID
    assert study_id(HEART, "d", "s", {}, (), None) == HEART_STUDY


def test_a_tolerance_matters_where_the_selection_metric_needs_it() -> None:
    def ids(*tolerances: Any, chosen_by: str) -> set[str]:
        changes = {"metrics": ("dice", "nsd"), "selection_metric": chosen_by}
        tasks = [HEART.model_copy(update={"tolerance_mm": t, **changes}) for t in tolerances]
        return {digest(task_identity(task)) for task in tasks}

    assert ids(None, 2.0, {"RV": 1.0, "LV": 2.0}, chosen_by="dice") == {HEART_ID}
    assert len(ids(1.0, 2.0, {"RV": 1.0, "LV": 2.0}, chosen_by="nsd")) == 3
    # However it is written.
    assert len(ids(2.0, 2, {"RV": 2.0, "LV": 2.0}, {"LV": 2, "RV": 2}, chosen_by="nsd")) == 1


def test_a_policy_matters_unless_it_is_the_default() -> None:
    found = {
        policy: digest(task_identity(HEART.model_copy(update={"empty_policy": policy})))
        for policy in ("nnunet", "one", "brats")
    }
    assert found["nnunet"] == HEART_ID
    assert len(set(found.values())) == 3


def test_a_trial_id_is_sixteen_hexadecimal_digits() -> None:
    assert len(trial_id(SPEC, "d", "s")) == 16
    assert int(trial_id(SPEC, "d", "s"), 16) >= 0


TASK = SPEC.task


@pytest.mark.parametrize(
    "changed",
    [
        SPEC.model_copy(update={"task": TASK.model_copy(update=update)})
        for update in (
            {"name": "other"},
            {"title": "other"},
            {"dataset": "other"},
            {"groups": "who.csv"},
            {"split": SplitSpec(test=0.5, folds=9, seed=3)},
            {"metrics": ("dice",)},
            {"metrics": (*TASK.metrics, "nsd"), "tolerance_mm": 2.0},
        )
    ],
)
def test_what_only_names_a_trial_does_not_change_its_id(changed: TrialSpec) -> None:
    assert trial_id(changed, "d", "s") == trial_id(SPEC, "d", "s")


@pytest.mark.parametrize(
    "changed",
    [
        *(
            SPEC.model_copy(update={"task": TASK.model_copy(update=update)})
            for update in (
                {"image_size": (128, 128)},
                {"spacing_mm": (1.5, 1.5)},
                {"clip_percentiles": (1.0, 99.0)},
                {"window": (0.0, 100.0)},
                {"file_spacing_mm": (5.0, 1.0, 1.0)},
                {"patient_pattern": "(.)"},
                {"flips": ("horizontal",)},
                {"selection_metric": "iou"},
                {"labels": {"LV": 3}},
                # The order of labels is the order of the classes.
                {"labels": dict(reversed(TASK.labels.items()))},
            )
        ),
        SPEC.model_copy(update={"seed": 1}),
        SPEC.model_copy(update={"fold": 1}),
        SPEC.model_copy(update={"phase": "final"}),
        SPEC.model_copy(update={"model": Component(name="resunet", options=SPEC.model.options)}),
        SPEC.model_copy(
            update={"model": Component(name="unet", options={"features": [8, 32], "dropout": 0.0})}
        ),
        SPEC.model_copy(update={"loss": Component(name="focal", options={"gamma": 1.0})}),
        SPEC.model_copy(update={"train": TrainConfig(learning_rate=2e-3)}),
        SPEC.model_copy(update={"train": TrainConfig(batch_size=8)}),
        SPEC.model_copy(update={"train": TrainConfig(epochs=11)}),
        SPEC.model_copy(update={"train": TrainConfig(precision="bf16")}),
        SPEC.model_copy(update={"train": TrainConfig(augment=AugmentConfig(noise=0.2))}),
    ],
)
def test_what_changes_numbers_changes_the_id(changed: TrialSpec) -> None:
    assert trial_id(changed, "d", "s") != trial_id(SPEC, "d", "s")


def test_data_and_split_are_part_of_the_id() -> None:
    assert len({trial_id(SPEC, data, split) for data in "de" for split in "st"}) == 4


@given(st.floats(1e-6, 1e-1), st.integers(0, 5), st.integers(0, 5))
def test_a_spec_that_went_through_json_keeps_its_id(rate: float, seed: int, fold: int) -> None:
    spec = SPEC.model_copy(update={"train": TrainConfig(learning_rate=rate), "seed": seed, "fold": fold})
    assert trial_id(TrialSpec.model_validate_json(spec.model_dump_json()), "d", "s") == trial_id(
        spec, "d", "s"
    )


def test_the_fingerprint_of_code_sees_contents_names_and_nothing_else(tmp_path: Path) -> None:
    def tree(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tree_fingerprint(tmp_path / name)

    base = tree("a", {"x.py": "1", "sub/y.py": "2"})
    assert (
        tree("b", {"sub/y.py": "2", "x.py": "1", "note.txt": "other", "sub/__pycache__/y.pyc": "3"}) == base
    )
    assert tree("c", {"x.py": "1", "sub/y.py": "3"}) != base
    assert tree("d", {"x.py": "1", "sub/z.py": "2"}) != base
    assert tree("e", {"x.py": "1", "y.py": "2"}) != base
    # What one file loses the next must not win.
    assert tree("f", {"a.py": "12", "b.py": ""}) != tree("g", {"a.py": "1", "b.py": "2"})


def test_the_code_has_a_fingerprint() -> None:
    assert len(code_fingerprint()) == 64
    assert code_fingerprint() == code_fingerprint()


def weights(name: str, sha256: str | None) -> Component:
    return Component(name="transunet", options={"pretrained": name, "pretrained_sha256": sha256})


def test_a_file_is_known_by_its_content() -> None:
    def ids(model: Component) -> tuple[str, str]:
        spec = SPEC.model_copy(update={"model": model})
        base = {"models": [[model.model_dump(), {}]]}
        return trial_id(spec, "d", "s"), study_id(SPEC.task, "d", "s", base, (), None)

    first = ids(weights("a.npz", "0" * 64))
    assert ids(weights("/elsewhere/b.npz", "0" * 64)) == first
    assert not set(ids(weights("a.npz", "1" * 64))) & set(first)
    # Without a hash the name is all there is.
    assert not set(ids(weights("a.npz", None))) & set(ids(weights("b.npz", None)))
