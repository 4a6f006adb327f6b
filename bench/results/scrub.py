"""Takes out of JSON trees what may identify: what is known to be harmless stays, whatever else there is goes."""

import json
import re
from collections.abc import Mapping
from typing import Any

GONE = "(removed)"
_PLAIN = re.compile(r"[A-Za-z0-9_.:+\- ]{0,80}")
# No slashes, no @: neither paths nor addresses. File names have no slash, so keys tell them.
_TELLING = re.compile(
    r".+path|file|dir|folder|root|host|node|user|url|pretrained|checkpoint|csv|address|patient|group|hardware",
    re.IGNORECASE,
)
_NAMES = frozenset({"name", "label", "entry", "task", "model", "loss", "suite", "id"})
"""Keys of names that people chose: tables have the same, so that they stay as they are."""
PATH = re.compile(r"""(?:^|[\s"'=:(,;])(?:~|\.{1,2})?/\w|[A-Za-z]:[\\/]\w|\\\\\w|://|\w@\w""")
"""A path, a URL or an address in a text."""

TASK_KEYS = frozenset(
    {
        *(
            "name",
            "format",
            "labels",
            "background",
            "channels",
            "image_size",
            "spacing_mm",
            "file_spacing_mm",
        ),
        *("unit", "clip_percentiles", "window", "flips", "metrics", "selection_metric", "tolerance_mm"),
        *("cavities", "empty_policy", "data_fingerprint", "split_hash", "cases", "patients", "patients_from"),
    }
)
SPLIT_KEYS = frozenset({"folds", "stratify", "seed"})
SUITE_KEYS = frozenset(
    {
        *("suite", "models", "losses", "compare", "design", "train", "tune", "final", "resources"),
        *("keep_predictions", "claims", "scale", "plan", "studies", "registered"),
    }
)
COMPONENT_KEYS = frozenset({"name", "options"})
SPEC_KEYS = frozenset({"train", "phase", "fold", "seed"})


def scrub(value: Any) -> Any:
    """Returns a JSON tree without texts that may identify.

    Numbers, booleans and null stay. A text stays if it is a plain word or a few; so do keys. What stands under a key
    that speaks of files, folders, hosts, users or patients goes, unless it is a number.
    """
    if isinstance(value, Mapping):
        return {
            str(key): _of_key(str(key), item) for key, item in value.items() if _PLAIN.fullmatch(str(key))
        }
    if isinstance(value, list | tuple):
        return [scrub(item) for item in value]
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else GONE
    return value


def _of_key(key: str, value: Any) -> Any:
    if key in _NAMES and isinstance(value, str | list):
        return scrub_name(value) if isinstance(value, str) else [scrub_name(str(one)) for one in value]
    if _TELLING.search(key):
        return value if value is None or isinstance(value, bool | int | float) else GONE
    return scrub(value)


def scrub_name(name: str) -> str:
    """Returns a name that people chose, unless it is a path, a URL or an address."""
    return GONE if PATH.search(name) else name


def scrub_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a task without its title, its data set's name, its lists of patients and its files."""
    kept = {key: _exact(item) for key, item in task.items() if key in TASK_KEYS}
    if isinstance(phantom := task.get("phantom"), Mapping):
        kept["phantom"] = {key: item for key, item in phantom.items() if isinstance(item, int)}
    if isinstance(split := task.get("split"), Mapping):
        kept["split"] = {key: item for key, item in split.items() if key in SPLIT_KEYS}
        test = split.get("test")
        kept["split"]["test"] = test if isinstance(test, int | float) or test == "official" else GONE
    return kept


def _exact(value: Any) -> Any:
    """Keeps names and every key: those of labels, whatever they speak of."""
    if isinstance(value, Mapping):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, str):
        return scrub_name(value)
    return [_exact(item) for item in value] if isinstance(value, list | tuple) else value


def scrub_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a trial's spec, as `spec_json` holds it, without what may identify."""
    kept = {key: scrub(item) for key, item in spec.items() if key in SPEC_KEYS}
    if isinstance(task := spec.get("task"), Mapping):
        kept["task"] = scrub_task(task)
    for side in ("model", "loss"):
        if isinstance(component := spec.get(side), Mapping):
            kept[side] = {key: scrub(item) for key, item in component.items() if key in COMPONENT_KEYS}
    return kept


def scrub_suite(suite: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a resolved suite without its description, where its data lie, and what its tasks must not tell."""
    kept = {key: scrub(item) for key, item in suite.items() if key in SUITE_KEYS}
    kept["tasks"] = [scrub_task(task) for task in suite.get("tasks", []) if isinstance(task, Mapping)]
    return kept


def scrub_text(text: str | None) -> str | None:
    """Scrubs JSON in a cell; what is no JSON goes whole."""
    return _rewritten(text, scrub)


def scrub_spec_text(text: str | None) -> str | None:
    """Likewise, of a trial's spec."""
    return _rewritten(text, lambda tree: scrub_spec(tree) if isinstance(tree, Mapping) else {})


def _rewritten(text: str | None, change: Any) -> str | None:
    if text is None:
        return None
    try:
        return json.dumps(change(json.loads(text)), sort_keys=True)
    except ValueError:
        return "{}"
