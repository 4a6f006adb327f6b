"""Single metrics of libraries that nothing here needs; imported by metrics_set.py, where they can be imported."""

import importlib
import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from metrics_peers import MONAI, SURFACE_DISTANCE, Function, Inputs, Values, per_label
from torch import Tensor

# What a library calls by our name or nearly so, and defines otherwise: its speed counts, its value is not compared.
OTHER_DEFINITIONS = {
    ("surface-distance", "hd"),
    ("surface-distance", "hd95"),
    ("surface-distance", "assd"),
    ("medpy", "hd95"),
    ("medpy", "lesion_sensitivity"),
    ("medpy", "lesion_precision"),
    ("panoptica", "lesion_f1"),
}


def single_peers() -> tuple[dict[str, dict[str, Function]], list[str]]:
    """Returns each library's functions by the name of our metric, and why others are left out."""
    found, left_out = {"MONAI": MONAI, "surface-distance": SURFACE_DISTANCE}, []
    optional = {
        "torchmetrics": _torchmetrics,
        "medpy": _medpy,
        "panoptica": _panoptica,
    }
    for name, load in optional.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found[name] = load()
            except (ImportError, RuntimeError, AttributeError) as error:
                left_out.append(f"{name}: {error}")
    return found, left_out


def _medpy() -> dict[str, Function]:
    binary = importlib.import_module("medpy.metric.binary")

    def swapped(function: Callable[..., float], spacing: str | None = None) -> Function:
        return per_label(lambda ours, theirs, **options: function(theirs, ours, **options), spacing)

    names = {"dice": "dc", "iou": "jc", "sensitivity": "recall", "precision": "precision", "rvd": "ravd"}
    found = {ours: swapped(getattr(binary, theirs)) for ours, theirs in names.items()}
    for name in ("hd", "hd95", "assd"):
        found[name] = swapped(getattr(binary, name), "voxelspacing")
    found["masd"] = per_label(
        lambda ours, theirs, **options: (
            (binary.asd(theirs, ours, **options) + binary.asd(ours, theirs, **options)) / 2
        ),
        "voxelspacing",
    )
    found["lesion_sensitivity"] = swapped(partial(binary.obj_tpr, connectivity=3))
    found["lesion_precision"] = swapped(partial(binary.obj_fpr, connectivity=3))
    return found


def _torchmetrics() -> dict[str, Function]:
    """Its Hausdorff distance is of images only."""
    _let_torchvision_be_imported()
    segmentation = importlib.import_module("torchmetrics.functional.segmentation")
    classification = importlib.import_module("torchmetrics.functional.classification")

    def by_index(function: Callable[..., Tensor], **options: Any) -> Function:
        def run(inputs: Inputs) -> Values:
            classes = inputs.volume.count + 1
            values = function(
                *inputs.indices,
                num_classes=classes,
                input_format="index",
                include_background=False,
                **options,
            )
            return values[0].double().numpy()

        return run

    def accuracy(inputs: Inputs) -> Values:
        classes = inputs.volume.count + 1
        value = classification.multiclass_accuracy(*inputs.indices, num_classes=classes, average="micro")
        return np.array([value.item()])

    return {
        "dice": by_index(segmentation.dice_score, average=None),
        "iou": by_index(segmentation.mean_iou, per_class=True),
        "pixel_accuracy": accuracy,
    }


_DECLARED: list[Any] = []


def _let_torchvision_be_imported() -> None:
    """Declares two operators that a wheel does not load beside a CPU build of torch; no metric uses them."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)


def _panoptica() -> dict[str, Function]:
    os.environ["PANOPTICA_CITATION_REMINDER"] = "false"
    library = importlib.import_module("panoptica")
    metric = importlib.import_module("panoptica.metrics").Metric
    evaluator = library.Panoptica_Evaluator(
        expected_input=library.InputType.SEMANTIC,
        instance_approximator=library.ConnectedComponentsInstanceApproximator(),
        # Any overlap makes a pair.
        instance_matcher=library.NaiveThresholdMatching(matching_metric=metric.IOU, matching_threshold=1e-9),
        instance_metrics=[metric.DSC],
        global_metrics=[],
    )

    def of(theirs: str) -> Function:
        def run(inputs: Inputs) -> Values:
            pairs = [(p.view(np.uint8), y.view(np.uint8)) for y, p in inputs.masks]
            results = [evaluator.evaluate(p, y, verbose=False)["ungrouped"] for p, y in pairs]
            return np.array([float(getattr(result, theirs)) for result in results])

        return run

    names = {"lesion_f1": "rq", "lesion_count_reference": "n_ref_instances"}
    return {
        ours: of(theirs) for ours, theirs in (names | {"lesion_count_predicted": "n_pred_instances"}).items()
    }
