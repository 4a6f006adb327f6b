"""Takes out of the results tables what may identify a patient, a person or a machine."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from bench.errors import ResultsError
from bench.results.pseudonyms import SALT_MARK, Pseudonyms
from bench.results.schema import TABLES
from bench.results.scrub import PATH, scrub_name, scrub_spec_text, scrub_suite, scrub_text

Change = Callable[[str | None], str | None]
_ERROR = re.compile(r"[A-Za-z_]\w*(?:Error|Exception|Exit|Interrupt)(?=:|$|\s)")
_VERSION = re.compile(r"[0-9][A-Za-z0-9_.+!\-]{0,40}")
_HARDWARE = re.compile(r"[A-Za-z0-9 _.\-+()/,;:@]{0,200}")
_SYSTEM = re.compile(r"Linux|Windows|macOS|Darwin|x86_64|AMD64|aarch64|arm64|glibc[0-9.]*|musl[0-9.]*")
_PUBLIC = frozenset(
    {
        *(
            "accelerate",
            "batchgenerators",
            "batchgeneratorsv2",
            "cmaes",
            "click",
            "dynamic-network-architectures",
        ),
        *(
            "filelock",
            "huggingface-hub",
            "lightning",
            "matplotlib",
            "medpy",
            "medseg-bench",
            "monai",
            "nibabel",
        ),
        *(
            "nnunetv2",
            "numpy",
            "opencv-python",
            "openpyxl",
            "optuna",
            "pandas",
            "pillow",
            "pyarrow",
            "pydantic",
        ),
        *("pydicom", "pynrrd", "pytorch-lightning", "pyyaml", "ray", "rich", "safetensors", "scikit-image"),
        *(
            "scikit-learn",
            "scipy",
            "segmentation-models-pytorch",
            "simpleitk",
            "statsmodels",
            "surface-distance",
        ),
        *("timm", "torch", "torchio", "torchvision", "transformers", "triton"),
    }
)
"""Packages that everybody has. What else is installed may carry the name of whoever wrote it."""


def _same(text: str | None) -> str | None:
    return text


def _named(text: str | None) -> str | None:
    return None if text is None else scrub_name(text)


def _nothing(text: str | None) -> str | None:
    return None if text is None else ""


def _null(_text: str | None) -> None:
    return None


def _error(text: str | None) -> str | None:
    """Keeps of a reason the kind of error that it begins with."""
    found = _ERROR.match(text or "")
    return found.group() if found else _nothing(text)


def _hardware(text: str | None) -> str | None:
    if text is None:
        return None
    return text if _HARDWARE.fullmatch(text) and not PATH.search(text) else ""


def _system(text: str | None) -> str | None:
    """Keeps what is known of an operating system: a kernel may carry the name of whoever built it."""
    return None if text is None else " ".join(_SYSTEM.findall(text))


def _is_public(package: str) -> bool:
    name = package.lower().replace("_", "-")
    return name in _PUBLIC or name.startswith("nvidia-cu")


def _packages(text: str | None) -> str | None:
    """Keeps public packages with plain versions."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return "{}"
    plain = {
        name: version
        for name, version in (found.items() if isinstance(found, Mapping) else ())
        if _is_public(name) and isinstance(version, str) and _VERSION.fullmatch(version)
    }
    return json.dumps(plain, sort_keys=True)


def _kept(*columns: str) -> dict[str, Change]:
    return dict.fromkeys(columns, _same)


CHANGES: dict[str, dict[str, Change]] = {
    "trials": {
        **_kept("trial", "study", "phase", "setting", "status", "metric", "precision", "code"),
        **_kept("memory_format", "run"),
        **dict.fromkeys(("suite", "task", "model", "loss", "entry"), _named),
        "setting_json": scrub_text,
        "spec_json": scrub_spec_text,
        "detail": _error,
        "device": _hardware,
        "versions_json": _packages,
        "notes": _null,
        "node": _null,
    },
    "cases": {
        **_kept("trial", "code", "part", "phase", "metric", "definition", "status", "unit"),
        **dict.fromkeys(("subgroup", "label"), _named),
    },
    "curves": _kept("trial", "code"),
    "runs": {
        **_kept("run", "plan", "code", "version", "end"),
        "suite": _named,
        "command": _nothing,
        "detail": _error,
        "node": _null,
    },
    "studies": {
        **_kept("study", "plan", "metric"),
        **dict.fromkeys(("suite", "task", "entry", "model", "loss"), _named),
        **dict.fromkeys(("models_json", "losses_json", "space_json", "budget_json"), scrub_text),
        **dict.fromkeys(("search_json", "final_json", "labels_json"), scrub_text),
    },
    "env": {
        "run": _same,
        "system": _system,
        **dict.fromkeys(("python", "cpu", "torch", "cuda", "driver"), _hardware),
        "gpus_json": scrub_text,
        "packages_json": _packages,
        "node": _null,
    },
}
"""What becomes of each column of text but those of `RENAMED`; numbers, times and booleans stay.

A column that is not named here makes the export fail: whoever adds one has to say what it may tell.
"""


FREE = frozenset(
    column for changes in CHANGES.values() for column, change in changes.items() if change is not _same
)
"""Columns of texts that people chose, or that hold such ones."""
RENAMED = frozenset({"case", "patient", "data", "split"})
"""Columns with names, and with hashes that are made of lists of names: a list could be tried until it fits."""


def deidentify_table(name: str, table: Any, pseudonyms: Pseudonyms) -> Any:
    """Returns a table without what may identify.

    Rows of `cases` are put into the order of their pseudonyms: the old one is that of the names.

    Args:
        name: Of the table.
        table: Arrow table in today's columns; texts may be dictionaries.
        pseudonyms: Of cases and patients.

    Raises:
        ResultsError: If nobody has said what becomes of a column.
    """
    arrays = []
    for column in TABLES[name]:
        values = table[column.name].combine_chunks()
        if not pa.types.is_string(column.type):
            arrays.append(values.cast(column.type))
            continue
        arrays.append(_changed(values, _change(name, column.name, pseudonyms)))
    done = pa.Table.from_arrays(arrays, schema=TABLES[name].with_metadata(table.schema.metadata))
    if name == "cases":
        keys = ("trial", "code", "attempt", "part", "case", "label", "metric", "definition")
        done = done.sort_by([(key, "ascending") for key in keys])
    return done


def _change(name: str, column: str, pseudonyms: Pseudonyms) -> Change:
    if column in RENAMED:
        return lambda text: pseudonyms.of(column, text) if text else text
    try:
        return CHANGES[name][column]
    except KeyError as error:
        raise ResultsError(
            f"column {column} of {name} is not known to be harmless: say in bench/results/deidentify.py what becomes "
            "of it"
        ) from error


def _changed(values: Any, change: Change) -> Any:
    """Changes each word once; the result holds no word that it does not use."""
    coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    words = pa.array([change(word) for word in coded.dictionary.to_pylist()], pa.string())
    return words.take(coded.indices)


def deidentify_suite(suite: Mapping[str, Any], pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Returns a resolved suite without what may identify, marked with its salt; see `scrub_suite`."""
    kept = {**scrub_suite(suite), SALT_MARK: pseudonyms.mark}
    for task in kept["tasks"]:
        for key, kind in (("data_fingerprint", "data"), ("split_hash", "split")):
            if task.get(key):
                task[key] = pseudonyms.of(kind, task[key])
    return kept
