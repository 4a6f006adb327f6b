"""Published splits: nnU-Net's ``splits_final.json``, or ``{test: [...], folds: [[...], ...]}`` in JSON or YAML."""

import json
from pathlib import Path
from typing import Any

import yaml

from medseg.data.case import DataSet
from medseg.errors import DataError

EXPECTED = "a list of {train: [...], val: [...]} as nnU-Net writes it, or {test: [...], folds: [[...], ...]}"


def read_split(path: Path, dataset: DataSet) -> tuple[set[str] | None, list[list[str]]]:
    """Reads a split file. Names may be cases or patients; patients come out.

    Returns:
        Patients of the test part, or none where the file does not say; patients of each fold.

    Raises:
        DataError: If the file is not of either form, names someone unknown, or puts a patient into two parts.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=yaml.BaseLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    test, folds = _parts(path, content)
    names = _Names(path, dataset)
    if isinstance(content, list):
        _refuse_trained(path, content, names)
    patients = [sorted({names.patient(name) for name in fold}) for fold in folds]
    tested = None if test is None else {names.patient(name) for name in test}
    _refuse_overlap(path, tested or set(), patients)
    return tested, patients


def _parts(path: Path, content: Any) -> tuple[list[str] | None, list[list[str]]]:
    if isinstance(content, list) and content and all(_is_nnunet(item) for item in content):
        return None, [[str(name) for name in item["val"]] for item in content]
    if isinstance(content, dict) and content.keys() <= {"test", "folds"} and "folds" in content:
        test, folds = content.get("test"), content["folds"]
        lists = [folds, *([test] if test is not None else []), *(folds if isinstance(folds, list) else [])]
        if all(isinstance(item, list) and item for item in lists):
            return None if test is None else [str(name) for name in test], [
                [str(name) for name in fold] for fold in folds
            ]
    raise DataError(f"{path}: must be {EXPECTED}")


def _is_nnunet(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("train"), list)
        and isinstance(item.get("val"), list)
        and bool(item["val"])
    )


class _Names:
    """Finds the patient that a name in a split file means."""

    def __init__(self, path: Path, dataset: DataSet):
        self.path, self.dataset = path, dataset
        self._of_case = {case.id: case.patient for case in dataset.cases}
        self._patients = set(dataset.patients)

    def patient(self, name: str) -> str:
        of_case = self._of_case.get(name)
        if of_case is None and name not in self._patients:
            raise DataError(f"{self.path}: '{name}' is neither a case nor a patient of {self.dataset.root}")
        if of_case is not None and of_case != name and name in self._patients:
            raise DataError(
                f"{self.path}: '{name}' is a case of patient '{of_case}' and also another patient's name; rename one"
            )
        return of_case or name


def _refuse_trained(path: Path, content: list[Any], names: "_Names") -> None:
    """nnU-Net lists both sides of each fold; a patient on both is a leak."""
    for number, item in enumerate(content):
        both = {names.patient(str(name)) for name in item["train"]} & {
            names.patient(str(name)) for name in item["val"]
        }
        if both:
            raise DataError(f"{path}: patient '{min(both)}' is in train and in val of fold {number}")


def _refuse_overlap(path: Path, test: set[str], folds: list[list[str]]) -> None:
    place = dict.fromkeys(test, "test")
    for number, fold in enumerate(folds):
        for patient in fold:
            if place.setdefault(patient, f"fold {number}") != f"fold {number}":
                raise DataError(f"{path}: patient '{patient}' is in {place[patient]} and in fold {number}")
