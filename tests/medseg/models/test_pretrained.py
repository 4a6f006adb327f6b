"""Weight files of every kind into the TransUNet; timm, which reads the ViT authors' files too, is the oracle."""

import logging
import pickle
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medseg.config import Component
from medseg.errors import ConfigError, ModelError
from medseg.models import build_model, resolve_options
from medseg.models.pretrained import ENCODER, known_sha256, locate
from medseg.models.transunet import TransUNet
from medseg.models.vit import resample_grid

OPTIONS = {
    **TransUNet.narrow,
    "resnet_width": 8,
    "norm_groups": 8,
    "width": 24,
    "heads": 3,
    "mlp_width": 48,
    "dropout": 0.0,
}
BLOCK = {"LayerNorm_0": "attention_norm", "LayerNorm_2": "mlp_norm"}
BLOCK |= {"MlpBlock_3/Dense_0": "mlp.fc1", "MlpBlock_3/Dense_1": "mlp.fc2"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_WEIGHTS", str(tmp_path))
    return tmp_path


def build(in_channels=1, out_channels=4, image_size=(64, 64), seed=1, **options):
    torch.manual_seed(seed)
    component = Component(name="transunet", options={**OPTIONS, **options})
    return build_model(component, in_channels, out_channels, image_size)


@pytest.fixture
def source():
    """A model whose tensors all differ from another's."""
    model = build(seed=0)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return model


def encoder(model):
    return {key: value for key, value in model.state_dict().items() if key.startswith(ENCODER)}


def assert_same_encoder(model, source, leaving=()):
    expected = encoder(source)
    assert len(expected) == len(encoder(model)) > 60
    for key, value in encoder(model).items():
        assert torch.equal(value, expected[key]) == (key not in leaving), key


def flax(model, heads=3, class_token=True):
    """Writes the encoder as google-research/vision_transformer names and lays out its own."""
    arrays = {}

    def put(name, layer):
        weight = layer.weight.detach().numpy()
        if isinstance(layer, nn.Conv2d):
            arrays[f"{name}/kernel"] = weight.transpose(2, 3, 1, 0)
        elif isinstance(layer, nn.Linear):
            arrays[f"{name}/kernel"] = weight.T
        else:
            shape = (1, 1, 1, -1) if isinstance(layer, nn.GroupNorm) else (-1,)
            arrays[f"{name}/scale"] = weight.reshape(shape)
        if layer.bias is not None:
            shape = (1, 1, 1, -1) if isinstance(layer, nn.GroupNorm) else (-1,)
            arrays[f"{name}/bias"] = layer.bias.detach().numpy().reshape(shape)

    put("conv_root", model.resnet.stem_conv)
    put("gn_root", model.resnet.stem_norm)
    for i, stage in enumerate(model.resnet.stages, start=1):
        for j, unit in enumerate(stage, start=1):
            for k in (1, 2, 3):
                put(f"block{i}/unit{j}/conv{k}", getattr(unit, f"conv{k}"))
                put(f"block{i}/unit{j}/gn{k}", getattr(unit, f"norm{k}"))
            if unit.shortcut_conv is not None:
                put(f"block{i}/unit{j}/conv_proj", unit.shortcut_conv)
                put(f"block{i}/unit{j}/gn_proj", unit.shortcut_norm)
    put("embedding", model.patch_embedding)
    for i, block in enumerate(model.encoder.blocks):
        root = f"Transformer/encoderblock_{i}"
        for theirs, ours in BLOCK.items():
            put(f"{root}/{theirs}", block.get_submodule(ours))
        for part in ("query", "key", "value", "out"):
            name = f"{root}/MultiHeadDotProductAttention_1/{part}"
            put(name, getattr(block.attention, part))
            width = arrays[f"{name}/kernel"].shape[0]
            split = (heads, width // heads)
            shape = (*split, width) if part == "out" else (width, *split)
            arrays[f"{name}/kernel"] = arrays[f"{name}/kernel"].reshape(shape)
            if part != "out":
                arrays[f"{name}/bias"] = arrays[f"{name}/bias"].reshape(split)
    put("Transformer/encoder_norm", model.encoder.norm)
    positions = model.position_embedding.detach().numpy()
    if class_token:
        width = positions.shape[-1]
        arrays["cls"] = np.ones((1, 1, width), np.float32)
        positions = np.concatenate((np.full((1, 1, width), 7, np.float32), positions), axis=1)
        arrays["head/kernel"], arrays["head/bias"] = np.ones((width, 5), np.float32), np.ones(5, np.float32)
    arrays["Transformer/posembed_input/pos_embedding"] = positions
    return arrays


def fused(model):
    """The encoder under timm's names."""
    state = {"cls_token": torch.ones(1, 1, 24), "head.weight": torch.ones(5, 24)}
    state["pos_embed"] = torch.cat((torch.full((1, 1, 24), 7.0), model.position_embedding.detach()), dim=1)
    swaps = [("resnet.stem_", "patch_embed.backbone.stem."), ("patch_embedding", "patch_embed.proj")]
    swaps += [("resnet.stages", "patch_embed.backbone.stages"), ("shortcut_", "downsample.")]
    swaps += [("encoder.norm", "norm"), ("encoder.blocks", "blocks"), ("attention.out", "attn.proj")]
    swaps += [("attention_norm", "norm1"), ("mlp_norm", "norm2")]
    for name, tensor in encoder(model).items():
        parts = name.split(".")
        if name.startswith("resnet.stages"):
            name = ".".join((*parts[:3], "blocks", *parts[3:]))
        if "attention.query" in name:
            thirds = [encoder(model)[name.replace("query", part)] for part in ("query", "key", "value")]
            name, tensor = name.replace("attention.query", "attn.qkv"), torch.cat(thirds)
        if "attention.key" in name or "attention.value" in name or name == "position_embedding":
            continue
        for ours, theirs in swaps:
            name = name.replace(ours, theirs)
        state[name] = tensor
    return state


def test_the_vit_authors_file(folder, source, caplog):
    np.savez(folder / "vit.npz", **flax(source))
    with caplog.at_level(logging.INFO, logger="medseg"):
        model = build(pretrained="vit.npz")
    assert_same_encoder(model, source)
    report = model.pretrained
    assert set(report.loaded) == set(encoder(model))
    named = set(model.state_dict()) - {"position_grid"}
    assert set(report.initialised) == named - set(encoder(model))
    assert sorted(report.skipped) == ["cls", "head/bias", "head/kernel"]
    assert report.interpolated == report.averaged == {}
    text = str(report)
    assert text in caplog.text
    assert f"{len(encoder(model))} of the model's {len(named)} tensors" in text
    assert "the ViT authors' names" in text
    assert report.sha256 == known_sha256("vit.npz")
    assert "left as initialised: decoder (54), head (2)" in text


def test_decoder_and_head_stay_as_they_start(folder, source):
    np.savez(folder / "vit.npz", **flax(source))
    fresh, model = build(), build(pretrained="vit.npz")
    for key in model.pretrained.initialised:
        assert torch.equal(model.state_dict()[key], fresh.state_dict()[key])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_timms_names(folder, source, suffix):
    write(folder / f"timm{suffix}", fused(source))
    model = build(pretrained=f"timm{suffix}")
    assert_same_encoder(model, source)
    assert sorted(model.pretrained.skipped) == ["cls_token", "head.weight"]
    assert model.pretrained.layout == "timm's names"


def test_timm_reads_the_same_file_alike(folder, torchvision_ops):
    """Names and layouts of both kinds of files against timm's own loader and model."""
    from timm.layers import HybridEmbed, StdConv2d
    from timm.models.resnetv2 import ResNetV2
    from timm.models.vision_transformer import VisionTransformer

    wide = {"resnet_width": 32, "norm_groups": 32}  # timm's norms have 32 groups
    source = build(in_channels=3, seed=0, **wide)
    nn.init.normal_(source.position_embedding)
    backbone = ResNetV2(
        layers=(1, 1, 1),
        channels=(128, 256, 512),
        stem_chs=32,
        num_classes=0,
        global_pool="",
        preact=False,
        conv_layer=partial(StdConv2d, eps=1e-5),
    )
    theirs = VisionTransformer(
        img_size=64,
        patch_size=1,
        embed_layer=partial(HybridEmbed, backbone=backbone),
        num_classes=0,
        embed_dim=24,
        depth=2,
        num_heads=3,
        mlp_ratio=2,
    ).eval()
    np.savez(folder / "vit.npz", **flax(source))
    theirs.load_pretrained(str(folder / "vit.npz"))
    write(folder / "timm.pth", theirs.state_dict())
    model = build(in_channels=3, pretrained="timm.pth", **wide).eval()
    assert_same_encoder(model, source)
    assert model.pretrained.skipped == ("cls_token",)
    tokens = torch.randn(2, 16, 24)
    expected = theirs.norm(theirs.blocks(tokens + theirs.pos_embed[:, 1:]))
    torch.testing.assert_close(model.encoder(tokens + model.position_embedding), expected)
    features = torch.randn(2, 512, 4, 4)
    torch.testing.assert_close(model.patch_embedding(features), theirs.patch_embed.proj(features))


def write(path, content):
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in content.items()}, path)
    else:
        torch.save(content, path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"model": {f"module._orig_mod.{key}": value for key, value in state.items()}},
    ],
)
def test_our_own_state_dict_in_its_wrappings(folder, source, wrap):
    write(folder / "own.pth", wrap(source.state_dict()))
    model = build(pretrained="own.pth")
    for key, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[key]), key
    assert model.pretrained.initialised == model.pretrained.skipped == ()


def test_our_own_safetensors(folder, source):
    write(folder / "own.safetensors", source.state_dict())
    model, images = build(pretrained="own.safetensors").eval(), torch.randn(1, 1, 64, 64)
    assert torch.equal(model(images), source.eval()(images))


def test_a_head_for_other_labels_starts_anew(folder, source):
    write(folder / "own.pth", source.state_dict())
    model = build(out_channels=2, pretrained="own.pth")
    assert model.pretrained.initialised == model.pretrained.skipped == ("head.weight", "head.bias")
    assert torch.equal(model.decoder.bridge[0].weight, source.decoder.bridge[0].weight)


@pytest.mark.parametrize("kind", ["vit.npz", "timm.pth", "own.pth"])
def test_positions_of_another_size_are_interpolated(folder, source, kind):
    if kind == "vit.npz":
        np.savez(folder / kind, **flax(source))
    else:
        write(folder / kind, fused(source) if kind == "timm.pth" else source.state_dict())
    model = build(image_size=(96, 32), pretrained=kind)
    expected = resample_grid(source.position_embedding, (4, 4), (6, 2))
    assert torch.equal(model.position_embedding, expected)
    assert model.pretrained.interpolated == {"position_embedding": "4 x 4 to 6 x 2"}
    assert "interpolated: position_embedding, 4 x 4 to 6 x 2" in str(model.pretrained)


def test_as_many_positions_on_another_grid(folder, source):
    """ViT's are a square, whatever the model's 16 are; ours fit as they are."""
    np.savez(folder / "vit.npz", **flax(source))
    model = build(image_size=(32, 128), pretrained="vit.npz")
    assert model.pretrained.interpolated == {"position_embedding": "4 x 4 to 2 x 8"}
    own = build(image_size=(32, 128))
    nn.init.normal_(own.position_embedding)
    write(folder / "own.pth", own.state_dict())
    model = build(image_size=(32, 128), pretrained="own.pth")
    assert torch.equal(model.position_embedding, own.position_embedding)
    model = build(image_size=(128, 32), pretrained="own.pth")
    assert torch.equal(model.position_embedding, resample_grid(own.position_embedding, (2, 8), (8, 2)))
    model = build(image_size=(64, 64), pretrained="own.pth")
    assert model.pretrained.interpolated == {"position_embedding": "2 x 8 to 4 x 4"}
    state = own.state_dict()
    del state["position_grid"]
    write(folder / "own.pth", state)
    with pytest.raises(ModelError, match="position_embedding is 1 x 16 x 24, on an unknown grid"):
        build(image_size=(32, 128), pretrained="own.pth")


def test_positions_without_a_class_token(folder, source):
    np.savez(folder / "vit.npz", **flax(source, class_token=False))
    assert_same_encoder(build(pretrained="vit.npz"), source)
    state = fused(source)
    state["pos_embed"] = state["pos_embed"][:, 1:]  # as timm's no_embed_class leaves it
    write(folder / "timm.pth", state)
    assert_same_encoder(build(pretrained="timm.pth"), source)


def test_a_stem_for_other_channels_is_the_mean(folder, source):
    np.savez(folder / "vit.npz", **flax(source))
    model = build(in_channels=2, pretrained="vit.npz")
    mean = source.resnet.stem_conv.weight.mean(1, keepdim=True)
    torch.testing.assert_close(model.resnet.stem_conv.weight, mean.expand(-1, 2, -1, -1))
    assert model.pretrained.averaged == {"resnet.stem_conv.weight": "3 input channels into 2"}
    assert "averaged: resnet.stem_conv.weight, 3 input channels into 2" in str(model.pretrained)


def test_half_precision_files_become_single(folder, source):
    write(folder / "half.safetensors", {key: value.half() for key, value in fused(source).items()})
    model = build(pretrained="half.safetensors")
    assert model.encoder.norm.weight.dtype == torch.float32
    assert torch.equal(model.encoder.norm.weight, source.encoder.norm.weight.half().float())


def test_blocks_beyond_the_models_are_skipped(folder, source):
    np.savez(folder / "vit.npz", **flax(source))
    model = build(depth=1, pretrained="vit.npz")
    assert "Transformer/encoderblock_1/MlpBlock_3/Dense_0/kernel" in model.pretrained.skipped
    assert len(model.pretrained.skipped) == 16 + 3
    assert torch.equal(model.encoder.norm.weight, source.encoder.norm.weight)


def test_missing_blocks_are_refused_and_named(folder, source):
    np.savez(folder / "vit.npz", **flax(source))
    match = (
        r"vit\.npz don't fit: 16 of the encoder's \d+ tensors: "
        r"encoder\.blocks\.2\.attention_norm\.weight is missing; .*; and 11 more"
    )
    with pytest.raises(ModelError, match=match):
        build(depth=3, pretrained="vit.npz")


def test_wrong_shapes_are_refused_and_named(folder, source):
    write(folder / "timm.pth", fused(source))
    match = (
        r"position_embedding is 1 x 16 x 24, must be 1 x 16 x 48; patch_embedding\.weight is 24 x 128 x 1 x 1"
    )
    with pytest.raises(ModelError, match=match):
        build(width=48, pretrained="timm.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_and_named(folder, source, value):
    state = source.state_dict()
    state["encoder.norm.weight"] = torch.full_like(state["encoder.norm.weight"], value)
    write(folder / "own.safetensors", state)
    with pytest.raises(
        ModelError, match=r"1 of the encoder's .* encoder\.norm\.weight has values that are NaN"
    ):
        build(pretrained="own.safetensors")


def test_a_model_without_numbers_is_matched_all_the_same(folder, source):
    write(folder / "own.safetensors", source.state_dict())
    with torch.device("meta"):
        model = build(pretrained="own.safetensors")
    assert model.pretrained.initialised == ()


def test_another_network_is_refused(folder):
    write(folder / "other.pth", {"layer1.0.weight": torch.zeros(3, 3), "fc.bias": torch.zeros(3)})
    total = len(encoder(build()))
    match = rf"{total} of the encoder's {total} tensors: .*\(without a place: layer1\.0\.weight, fc\.bias\)"
    with pytest.raises(ModelError, match=match):
        build(pretrained="other.pth")


def test_other_heads_are_refused_where_the_file_tells(folder, source):
    np.savez(folder / "vit.npz", **flax(source))
    with pytest.raises(ModelError, match="are for 3 attention heads, the model has 6"):
        build(heads=6, pretrained="vit.npz")


class Malice:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("name", ["malice.pth", "malice.npz"])
def test_no_code_in_a_file_is_run(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    if name.endswith("npz"):
        np.savez(folder / name, head=np.array([Malice()], dtype=object))
    else:
        torch.save({"head": Malice()}, folder / name)
    with pytest.raises(ModelError, match=r"cannot be read: (UnpicklingError|ValueError)"):
        build(pretrained=name)
    assert not Path("ran").exists()


@pytest.mark.parametrize("suffix", ["npz", "pth", "pt", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", pickle.dumps([1, 2], protocol=2)])
def test_what_is_no_weight_file_is_refused(folder, suffix, content):
    (folder / f"file.{suffix}").write_bytes(content)
    with pytest.raises(ModelError, match=rf"file\.{suffix} (cannot be read|hold no tensors)"):
        build(pretrained=f"file.{suffix}")


@pytest.mark.parametrize("name", ["vit.npz", "own.pth", "own.safetensors"])
def test_a_truncated_file_is_refused(folder, source, name):
    if name == "vit.npz":
        np.savez(folder / name, **flax(source))
    else:
        write(folder / name, source.state_dict())
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        build(pretrained=name)


def test_other_kinds_of_files_and_none_are_refused(folder):
    (folder / "weights.h5").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"must be one of \.npz, \.safetensors, \.pth, \.pt, got '\.h5'"):
        build(pretrained="weights.h5")
    with pytest.raises(ModelError, match=r"not found: .*none\.npz .*MEDSEG_WEIGHTS"):
        build(pretrained="none.npz")
    with pytest.raises(ModelError, match="not found"):
        build(pretrained=str(folder))
    write(folder / "empty.pth", {"epoch": 3})
    with pytest.raises(ModelError, match="hold no tensors"):
        build(pretrained="empty.pth")
    write(folder / "list.pth", [torch.ones(1)])
    with pytest.raises(ModelError, match="needs tensors by name, got list"):
        build(pretrained="list.pth")


def test_resolved_options_hold_the_content(folder, source):
    write(folder / "a.pth", source.state_dict())
    shutil.copy(folder / "a.pth", folder / "b.pth")
    options = resolve_options(Component(name="transunet", options={**OPTIONS, "pretrained": "a.pth"}))
    assert options["pretrained_sha256"] == known_sha256("a.pth") == known_sha256("b.pth")
    assert len(options["pretrained_sha256"]) == 64
    assert resolve_options(Component(name="transunet", options=options)) == options
    build_model(Component(name="transunet", options=options), 1, 4, (64, 64))
    # The plan was made with other content: its trials must not be trained on this.
    write(folder / "a.pth", build(seed=5).state_dict())
    with pytest.raises(
        ModelError, match=f"a.pth must have sha256 {options['pretrained_sha256']}, got [0-9a-f]+"
    ):
        build_model(Component(name="transunet", options=options), 1, 4, (64, 64))


def test_a_file_that_is_elsewhere_leaves_the_hash_open(folder):
    options = resolve_options(Component(name="transunet", options={"pretrained": "none.npz"}))
    assert options["pretrained_sha256"] is None
    options = resolve_options(
        Component(name="transunet", options={"pretrained": "none.npz", "pretrained_sha256": "0" * 64})
    )
    assert options["pretrained_sha256"] == "0" * 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretrained_sha256": "0" * 64}, "pretrained_sha256 needs pretrained"),
        ({"pretrained": "a.pth", "pretrained_sha256": "abc"}, r"model\.pretrained_sha256"),
        ({"pretrained": 3}, r"model\.pretrained: .*\(?"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        resolve_options(Component(name="transunet", options=options))


def test_where_files_are_looked_for(folder, monkeypatch):
    assert locate("a.npz") == folder / "a.npz"
    assert locate(str(folder / "deep" / "a.npz")) == folder / "deep" / "a.npz"
    monkeypatch.delenv("MEDSEG_WEIGHTS")
    monkeypatch.setenv("MEDSEG_CACHE", "/cache")
    assert locate("a.npz") == Path("/cache/weights/a.npz")
    monkeypatch.delenv("MEDSEG_CACHE")
    assert locate("a.npz") == Path.home() / ".cache" / "medseg-bench" / "weights" / "a.npz"
