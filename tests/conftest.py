import warnings
from importlib import import_module

import pytest

# A library that is collected takes its operators with it.
_DECLARED = []


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
