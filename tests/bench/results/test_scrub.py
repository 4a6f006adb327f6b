"""What may identify goes out of JSON trees; what a reader needs stays."""

import json
from typing import Any

import pytest

from bench.results.scrub import GONE, scrub, scrub_name, scrub_spec_text, scrub_suite, scrub_task, scrub_text

TASK: dict[str, Any] = {
    "name": "st-mary-lung",
    "title": "Dr. Smith's lungs",
    "dataset": "mary",
    "format": "folder",
    "phantom": None,
    "labels": {"left lung/upper": 1, "patient lung": 2},
    "groups": "/data/mary/groups.csv",
    "patient_pattern": "(smith|jones)",
    "image_size": [64, 64],
    "tolerance_mm": {"left lung/upper": 2.0, "patient lung": 1.5},
    "split": {"test": ["smith", "jones"], "folds": 3, "file": "mary.json", "stratify": True, "seed": 7},
    "metrics": ["dice"],
    "empty_policy": "nnunet",
    "patients": 20,
    "added later": "/home/mary",
}


@pytest.mark.parametrize(
    "name",
    ["unet + dice", "monai:SwinUNETR", "unet/wide", "nsd/marching-cubes/tau=2/v1", "Größe 2", "a.b", "3:1"],
)
def test_names_stay(name: str) -> None:
    assert scrub_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("/data/x", "~/x", "./x", "../x", "see /data/x", "x=/data", "'/data/x'", "C:\\data", "d:/data"),
        *("\\\\server\\share", "s3://bucket/x", "https://x.org", "mary@hospital.org", "at (/srv/x)"),
    ],
)
def test_paths_urls_and_addresses_go(name: str) -> None:
    assert scrub_name(name) == GONE
    assert scrub(name) == GONE


def test_numbers_and_plain_words_stay_in_a_tree() -> None:
    tree = {
        "train.learning_rate": 1e-3,
        "optimizer": "adam w",
        "on": True,
        "none": None,
        "n": [1, "relu", [2.5]],
    }
    assert scrub(tree) == tree
    assert scrub({"groups": 8, "patients": 20, "host": None}) == {"groups": 8, "patients": 20, "host": None}


def test_what_is_no_plain_word_goes_and_what_keys_tell_goes() -> None:
    tree = {
        "options": {"pretrained": "smith.npz", "note": "seen by Dr. Smith, Monday", "wide": "x" * 81},
        "data_dir": "mary",
        "hosts": ["mary-7"],
        "user": {"name": "mary"},
        "/home/mary": 1,
    }
    assert scrub(tree) == {
        "options": {"pretrained": GONE, "note": GONE, "wide": GONE},
        "data_dir": GONE,
        "hosts": GONE,
        "user": GONE,
    }


def test_of_a_task_only_what_is_known_to_be_harmless_stays() -> None:
    kept = scrub_task(TASK)
    assert kept == {
        "name": "st-mary-lung",
        "format": "folder",
        "labels": TASK["labels"],
        "image_size": [64, 64],
        "tolerance_mm": TASK["tolerance_mm"],
        "split": {"test": GONE, "folds": 3, "stratify": True, "seed": 7},
        "metrics": ["dice"],
        "empty_policy": "nnunet",
        "patients": 20,
    }
    assert scrub_task({"patients_from": "images"}) == {"patients_from": "images"}
    for test in (0.2, "official"):
        assert scrub_task({"split": {"test": test}})["split"] == {"test": test}
    assert scrub_task({"phantom": {"patients": 4, "seed": 0, "x": "y"}})["phantom"] == {
        "patients": 4,
        "seed": 0,
    }


def test_specs_and_cells_of_json() -> None:
    spec = {
        "task": TASK,
        "model": {"name": "unet", "options": {"pretrained": "/w/x.npz", "width": 8}, "secret": "x"},
        "loss": {"name": "dice", "options": {}},
        "train": {"epochs": 2, "optimizer": "adam"},
        "phase": "final",
        "fold": 0,
        "seed": 1,
        "host": "mary-7",
    }
    text = scrub_spec_text(json.dumps(spec))
    assert text is not None
    kept = json.loads(text)
    assert kept["model"] == {"name": "unet", "options": {"pretrained": GONE, "width": 8}}
    assert kept["train"] == spec["train"]
    assert kept["task"] == scrub_task(TASK)
    assert "host" not in kept
    assert "mary-7" not in text
    assert (scrub_spec_text("[]"), scrub_spec_text("no json"), scrub_text("{"), scrub_text(None)) == (
        "{}",
        "{}",
        "{}",
        None,
    )


def test_a_suite_keeps_what_a_leaderboard_reads() -> None:
    study = {
        "id": "s",
        "task": "st-mary-lung",
        "entry": "my net (2) + dice",
        "models": [{"label": "my net (2)", "name": "my.nets:Net", "options": {"a": 1}, "parameters": 9}],
        "space": [
            {"name": "train.learning_rate", "path": "train.learning_rate", "low": 0.1, "choices": None}
        ],
        "final": {"folds": [0], "seeds": [0, 1]},
    }
    claim = {
        "id": "c (1)",
        "task": "st-mary-lung",
        "better": {"model": ["my net (2)"]},
        "than": {"model": "x, y"},
    }
    suite = {
        "suite": "mary",
        "plan": "0f",
        "description": "For Dr. Smith",
        "data": {"mary": "/data/mary"},
        "resources": {"cpus": 2, "hardware": "mary-7"},
        "tasks": [TASK],
        "studies": [study],
        "claims": [claim],
        "registered": {"0a1b": {"id": "c (1)", "at": "2026-01-02T03:04:05+00:00"}},
    }
    assert scrub_suite(suite) == {
        "suite": "mary",
        "plan": "0f",
        "resources": {"cpus": 2, "hardware": GONE},
        "tasks": [scrub_task(TASK)],
        "studies": [study],
        "claims": [claim],
        "registered": suite["registered"],
    }
