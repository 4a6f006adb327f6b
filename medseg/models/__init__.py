"""Models: a table of names, and what builds and checks them. Importing this imports no torch."""

from typing import TYPE_CHECKING, Any

from medseg.registry import Registry

if TYPE_CHECKING:
    from medseg.models.build import build_model, check_fit, count_parameters, resolve_options

MODELS = Registry(
    "model",
    {
        "attention_unet": "medseg.models.attention_unet:AttentionUNet",
        "nnunet_plain": "medseg.models.nnunet:PlainUNet",
        "nnunet_resenc": "medseg.models.nnunet:ResidualEncoderUNet",
        "resunet": "medseg.models.resunet:ResUNet",
        "transunet": "medseg.models.transunet:TransUNet",
        "unet": "medseg.models.unet:UNet",
        "unetplusplus": "medseg.models.unetplusplus:UNetPlusPlus",
    },
    "medseg.models",
)

__all__ = ["MODELS", "build_model", "check_fit", "count_parameters", "resolve_options"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from medseg.models import build

        return getattr(build, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
