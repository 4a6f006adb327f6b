"""Identities: hashes of what changes a trial's numbers, and of nothing else."""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import medseg
from bench.plan.parameter import Parameter
from bench.plan.source import external_source
from medseg.metrics import METRICS
from medseg.tasks import TaskSpec
from medseg.training.config import TrialSpec

__all__ = [
    "canonical_json",
    "code_fingerprint",
    "digest",
    "external_source",
    "setting_id",
    "study_id",
    "task_identity",
    "tree_fingerprint",
    "trial_id",
]

ID_DIGITS = 16
_EXACT_INTEGERS = 2**53
# Names say what a thing is called; phantom, groups and split act through the data's fingerprint and the split's hash.
# What is measured besides the selection metric changes nothing of what is trained; `bench rescore` can add to it.
_NOT_IDENTITY = {"name", "title", "dataset", "phantom", "groups", "split", "cavities", "metrics"}
_WHERE_USED = {"tolerance_mm", "empty_policy"}


def canonical_json(value: Any) -> str:
    """Returns the one JSON text of a value: keys sorted, no blanks, `1.0` written as `1`.

    Args:
        value: None, booleans, numbers, text, and lists, tuples and mappings with text keys of these.

    Raises:
        ValueError: If a number is NaN or infinite.
        TypeError: If the value holds anything else.
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any, digits: int = ID_DIGITS) -> str:
    """Returns the first hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:digits]


def task_identity(task: TaskSpec) -> dict[str, Any]:
    """Returns what of a task changes numbers, as JSON values.

    The order of labels is part of it, since it is the order of the classes. Of the metrics only the one is that
    chooses epochs and settings, with its tolerance if it has one; the policy for empty masks, by which it is
    averaged, is unless it is the default.

    Raises:
        UnknownNameError: If the task declares a tolerance and its selection metric is not known.
        RegistryError: If that metric cannot be imported.
    """
    dump = task.model_dump(mode="json", exclude=_NOT_IDENTITY | _WHERE_USED)
    if task.tolerance_mm is not None and METRICS.load(task.selection_metric).needs_tolerance:
        dump["tolerance_mm"] = task.tolerances()
    if task.empty_policy != TaskSpec.model_fields["empty_policy"].default:
        dump["empty_policy"] = task.empty_policy
    return {**dump, "labels": list(map(list, task.labels.items()))}


def trial_id(spec: TrialSpec, data_fingerprint: str, split_hash: str, study: str = "") -> str:
    """Returns a trial's id: 16 hexadecimal digits.

    Args:
        spec: The trial.
        data_fingerprint: Of the task's data set, by content.
        split_hash: Of the assignment of patients to parts and folds.
        study: Id of the study that the trial belongs to: one that two studies shared would be counted in one
            of them only. Empty for a trial on its own.
    """
    identity = _by_content(spec.model_dump(mode="json", exclude={"task"}))
    return digest(["trial", study, task_identity(spec.task), data_fingerprint, split_hash, identity])


def setting_id(setting: Mapping[str, Any]) -> str:
    """Returns the id of a hyper-parameter setting: 16 hexadecimal digits."""
    return digest(["setting", dict(setting)])


def study_id(
    task: TaskSpec,
    data_fingerprint: str,
    split_hash: str,
    base: Mapping[str, Any],
    space: tuple[Parameter, ...],
    search: Mapping[str, Any] | None,
) -> str:
    """Returns a study's id: 16 hexadecimal digits.

    Args:
        task: The task.
        data_fingerprint: Of its data set.
        split_hash: Of its split.
        base: Models and losses with resolved options and their base training settings.
        space: What tuning may change.
        search: Sampler, seed, fold and epochs of the tuning trials; none where nothing is tuned. The budget is
            left out: a larger one continues the same search.
    """
    dimensions = [parameter.to_json() for parameter in space]
    return digest(
        [
            "study",
            task_identity(task),
            data_fingerprint,
            split_hash,
            _by_content(dict(base)),
            dimensions,
            search,
        ]
    )


@cache
def code_fingerprint() -> str:
    """Returns the SHA-256 of the source files of `medseg`: relative paths and contents, in sorted order."""
    return tree_fingerprint(Path(medseg.__path__[0]))


def tree_fingerprint(root: Path) -> str:
    """Returns the SHA-256 of all Python files below a folder: relative paths and contents, in sorted order."""
    total = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _by_content(value: Any) -> Any:
    """Leaves out the name of a file whose SHA-256 stands beside it, as in `pretrained`, `pretrained_sha256`."""
    if isinstance(value, Mapping):
        return {key: _by_content(item) for key, item in value.items() if not value.get(f"{key}_sha256")}
    return [_by_content(item) for item in value] if isinstance(value, list | tuple) else value


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"canonical JSON needs finite numbers, got {value}")
        return int(value) if value.is_integer() and abs(value) < _EXACT_INTEGERS else value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"canonical JSON needs text keys, got {wrong[0]!r}")
        return {key: _canonical(item) for key, item in value.items()}
    raise TypeError(f"canonical JSON cannot hold {type(value).__name__}: {value!r}")
