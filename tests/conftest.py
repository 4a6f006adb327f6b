import gc
import os
import warnings
from importlib import import_module
from pathlib import Path

import hypothesis
import pytest

# A library that is collected takes its operators with it.
_DECLARED = []
# Workers take file after file: these go first, or one worker would end long after the others.
LONGEST = (
    "test_end_to_end.py",
    "bench/run/test_smoke.py",
    "bench/run/test_kill_campaign.py",
    "bench/run/test_cluster_nodes.py",
    "test_object_store.py",
    "bench/run/test_two_processes.py",
    "test_processes.py",
    "medseg/training/test_trial_exact.py",
    "medseg/training/test_processes.py",
    "bench/cli/test_components.py",
    "medseg/training/test_conformance.py",
    "test_contributing.py",
)

# Read when torch is imported, here and in subprocesses: workers beside each other must not fight for cores.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# How long an example takes says nothing where others use the machine, too.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


def pytest_collection_modifyitems(items):
    if "PYTEST_XDIST_WORKER" in os.environ:
        places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish():
    """Leaves alone what is there for good; statsmodels collects garbage at every call, through all of torch."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads or writes the user's cache or data folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSEG_CACHE", str(tmp_path_factory.mktemp("medseg-cache")))
        patch.delenv("MEDSEG_DATA", raising=False)
        yield


@pytest.fixture(scope="session")
def torchvision_ops():
    """Imports torchvision, and with it timm, smp and nnU-Net's networks, whatever build of torch is there.

    Beside a CPU build of torch the wheel's compiled operators don't load, and its import fails for want of two
    of them. No segmentation model uses them; declared, they let the rest be imported.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _DECLARED.append(library)
            import_module("torchvision")
        import_module("dynamic_network_architectures.architectures.unet")
        import_module("segmentation_models_pytorch")
