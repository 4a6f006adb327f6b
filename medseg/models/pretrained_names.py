"""Translates the names of others' hybrid vision transformers, and the layouts of their tensors, into ours."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

POSITIONS = "position_embedding"

# google-research/vision_transformer, R50+ViT-B_16.npz; names are layers and leaves joined by slashes.
_VIT_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_VIT_LAYERS = {
    "conv_root": "resnet.stem_conv",
    "gn_root": "resnet.stem_norm",
    "embedding": "patch_embedding",
    "Transformer/encoder_norm": "encoder.norm",
}
_VIT_UNIT = {
    **{f"conv{index}": f"conv{index}" for index in (1, 2, 3)},
    **{f"gn{index}": f"norm{index}" for index in (1, 2, 3)},
    "conv_proj": "shortcut_conv",
    "gn_proj": "shortcut_norm",
}
_VIT_ATTENTION = "MultiHeadDotProductAttention_1"
_VIT_BLOCK = {
    "LayerNorm_0": "attention_norm",
    "LayerNorm_2": "mlp_norm",
    "MlpBlock_3/Dense_0": "mlp.fc1",
    "MlpBlock_3/Dense_1": "mlp.fc2",
    **{f"{_VIT_ATTENTION}/{part}": f"attention.{part}" for part in ("query", "key", "value", "out")},
}
_VIT_POSITIONS = "Transformer/posembed_input/pos_embedding"

# timm, vit_base_r50_s16_224 and vit_base_r50_s16_384.
_TIMM_BACKBONE = "patch_embed.backbone."
_TIMM_LAYERS = {
    "patch_embed.backbone.stem.conv": "resnet.stem_conv",
    "patch_embed.backbone.stem.norm": "resnet.stem_norm",
    "patch_embed.proj": "patch_embedding",
    "norm": "encoder.norm",
}
_TIMM_UNIT = {
    **{f"{kind}{index}": f"{kind}{index}" for kind in ("conv", "norm") for index in (1, 2, 3)},
    "downsample.conv": "shortcut_conv",
    "downsample.norm": "shortcut_norm",
}
_TIMM_BLOCK = {
    "norm1": "attention_norm",
    "norm2": "mlp_norm",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.out",
}


@dataclass(frozen=True)
class Translation:
    """A file's tensors under our names.

    Args:
        layout: Whose names the file has.
        tensors: By our names, in our layout; position embeddings without the class token's.
        sources: What the file calls those of its tensors that we call otherwise, by our names.
        unknown: Names in the file that have none of ours.
        heads: Attention heads, where the file tells.
        foreign: The names are not ours.
    """

    layout: str
    tensors: dict[str, Tensor]
    sources: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    heads: int | None = None
    foreign: bool = True

    def source(self, name: str) -> str:
        """Returns what the file calls a tensor of ours."""
        return self.sources.get(name, name)


def translate(weights: Mapping[str, Tensor]) -> Translation:
    """Recognises whose names a file has and translates them; names that nobody has are taken for ours."""
    if any("/" in name for name in weights):
        return _from_vit(weights)
    if any(name.startswith(_TIMM_BACKBONE) for name in weights):
        return _from_timm(weights)
    return Translation("our names", dict(weights), foreign=False)


def _from_vit(weights: Mapping[str, Tensor]) -> Translation:
    tensors: dict[str, Tensor] = {}
    sources: dict[str, str] = {}
    unknown, heads = [], None
    for name, tensor in weights.items():
        layer, _, leaf = name.rpartition("/")
        ours = _vit_layer(layer)
        if name == _VIT_POSITIONS:
            tensors[POSITIONS] = _without_class_token(tensor, "cls" in weights)
            sources[POSITIONS] = name
        elif ours is None or leaf not in _VIT_LEAVES:
            unknown.append(name)
        else:
            if ours.endswith("attention.query") and tensor.ndim == 3:
                heads = tensor.shape[1]
            key = f"{ours}.{_VIT_LEAVES[leaf]}"
            tensors[key], sources[key] = _torch_layout(ours, leaf, tensor), name
    return Translation("the ViT authors' names", tensors, sources, tuple(unknown), heads)


def _vit_layer(layer: str) -> str | None:
    if found := re.fullmatch(r"block([1-9]\d*)/unit([1-9]\d*)/(\w+)", layer):
        stage, unit, part = int(found[1]) - 1, int(found[2]) - 1, _VIT_UNIT.get(found[3])
        return part and f"resnet.stages.{stage}.{unit}.{part}"
    if found := re.fullmatch(r"Transformer/encoderblock_(\d+)/(.+)", layer):
        part = _VIT_BLOCK.get(found[2])
        return part and f"encoder.blocks.{found[1]}.{part}"
    return _VIT_LAYERS.get(layer)


def _torch_layout(layer: str, leaf: str, tensor: Tensor) -> Tensor:
    """Flax keeps outputs last and heads apart: (H, W, in, out), (in, heads, d), (heads, d, out), (in, out)."""
    if leaf != "kernel":
        return tensor.flatten()
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1)
    if tensor.ndim == 3:
        tensor = tensor.flatten(0, 1) if layer.endswith("attention.out") else tensor.flatten(1)
    return tensor.mT if tensor.ndim == 2 else tensor


def _from_timm(weights: Mapping[str, Tensor]) -> Translation:
    tensors: dict[str, Tensor] = {}
    sources: dict[str, str] = {}
    unknown = []
    for name, tensor in weights.items():
        layer, _, leaf = name.rpartition(".")
        ours = _timm_layer(layer)
        if name == "pos_embed":
            found = {POSITIONS: _without_class_token(tensor, "cls_token" in weights)}
        elif ours is None:
            unknown.append(name)
            continue
        elif ours.endswith("qkv"):
            names = [f"{ours.removesuffix('qkv')}{part}.{leaf}" for part in ("query", "key", "value")]
            found = dict(zip(names, tensor.chunk(3), strict=False))
        else:
            found = {f"{ours}.{leaf}": tensor}
        tensors |= found
        sources |= dict.fromkeys(found, name)
    return Translation("timm's names", tensors, sources, tuple(unknown))


def _timm_layer(layer: str) -> str | None:
    if found := re.fullmatch(r"patch_embed\.backbone\.stages\.(\d+)\.blocks\.(\d+)\.(.+)", layer):
        part = _TIMM_UNIT.get(found[3])
        return part and f"resnet.stages.{found[1]}.{found[2]}.{part}"
    if found := re.fullmatch(r"blocks\.(\d+)\.(.+)", layer):
        part = _TIMM_BLOCK.get(found[2])
        return part and f"encoder.blocks.{found[1]}.{part}"
    return _TIMM_LAYERS.get(layer)


def _without_class_token(positions: Tensor, has_class_token: bool) -> Tensor:
    """A square of positions has none for the class token, even where there is one."""
    if (
        positions.ndim != 3
        or not has_class_token
        or math.isqrt(positions.shape[1]) ** 2 == positions.shape[1]
    ):
        return positions
    return positions[:, 1:]
