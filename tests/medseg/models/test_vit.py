"""The transformer encoder against its formulas and timm's, and position embeddings on other grids."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medseg.models import count_parameters
from medseg.models.vit import MLP, Attention, Encoder, EncoderBlock, resample_grid


def test_parameters():
    with torch.device("meta"):
        assert count_parameters(Encoder(depth=12, width=768, heads=12, mlp_width=3072)) == 85_056_000


def attention_by_hand(part, tokens, heads):
    batch, count, width = tokens.shape
    depth = width // heads
    query, key, value = (
        F.linear(tokens, layer.weight, layer.bias).reshape(batch, count, heads, depth).permute(0, 2, 1, 3)
        for layer in (part.query, part.key, part.value)
    )
    scores = torch.einsum("bhqd,bhkd->bhqk", query, key) / math.sqrt(depth)
    mixed = torch.einsum("bhqk,bhkd->bqhd", torch.softmax(scores, dim=-1), value)
    return F.linear(mixed.reshape(batch, count, width), part.out.weight, part.out.bias)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_scaled_by_the_root_of_a_heads_channels(heads):
    torch.manual_seed(0)
    attention = Attention(16, heads)
    tokens = 5 * torch.randn(2, 6, 16)
    torch.testing.assert_close(attention(tokens), attention_by_hand(attention, tokens, heads))


def test_attention_known_answer():
    """One head of 4 channels: scores q k / sqrt(4) are 1 and 0, so the weights are e / (e + 1) and 1 / (e + 1)."""
    attention = Attention(4, 1)
    for layer in (attention.query, attention.key, attention.value, attention.out):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    tokens = torch.tensor([[[math.sqrt(2.0), 0, 0, 0], [0, math.sqrt(2.0), 0, 0]]])
    share = math.e / (math.e + 1)
    expected = math.sqrt(2) * torch.tensor([share, 1 - share, 0, 0])
    torch.testing.assert_close(attention(tokens)[0, 0], expected)


def test_block_normalises_before_its_parts():
    torch.manual_seed(0)
    block = EncoderBlock(16, 2, 32, dropout=0.0, attention_dropout=0.0)
    for norm in (block.attention_norm, block.mlp_norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    tokens = 1e-3 * torch.randn(2, 5, 16)  # so small that the eps of the norms shows

    def norm(x, part):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * part.weight + part.bias

    x = tokens + attention_by_hand(block.attention, norm(tokens, block.attention_norm), 2)
    hidden = block.mlp.fc1(norm(x, block.mlp_norm))
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    torch.testing.assert_close(block(tokens), x + block.mlp.fc2(hidden), rtol=1e-4, atol=1e-5)


def test_parity_with_timm(torchvision_ops):
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    theirs = VisionTransformer(img_size=32, patch_size=16, embed_dim=24, depth=2, num_heads=3, mlp_ratio=2)
    ours = Encoder(depth=2, width=24, heads=3, mlp_width=48)
    with torch.no_grad():
        for mine, other in zip((*ours.blocks, ours), (*theirs.blocks, theirs), strict=True):
            if mine is ours:
                pairs = [(ours.norm, theirs.norm)]
            else:
                pairs = [(mine.attention_norm, other.norm1), (mine.mlp_norm, other.norm2)]
                pairs += [(mine.mlp.fc1, other.mlp.fc1), (mine.mlp.fc2, other.mlp.fc2)]
                pairs += [(mine.attention.out, other.attn.proj)]
                fused = [mine.attention.query, mine.attention.key, mine.attention.value]
                for kind in ("weight", "bias"):
                    for layer, third in zip(fused, getattr(other.attn.qkv, kind).chunk(3), strict=True):
                        getattr(layer, kind).copy_(third)
            for layer, source in pairs:
                nn.init.normal_(source.weight, 0.5, 0.3)
                nn.init.normal_(source.bias, 0, 0.3)
                layer.load_state_dict(source.state_dict())
    tokens = torch.randn(2, 7, 24)
    expected = theirs.eval().norm(theirs.blocks(tokens))
    torch.testing.assert_close(ours.eval()(tokens), expected, rtol=1e-4, atol=1e-5)


def test_weights_of_the_mlp_start_as_in_the_vit_papers_code():
    torch.manual_seed(0)
    mlp = MLP(96, 384)
    bound = math.sqrt(6 / (96 + 384))
    for layer in (mlp.fc1, mlp.fc2):
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert 0 < layer.bias.std() < 2e-6


@pytest.mark.parametrize("which", ["dropout", "attention_dropout"])
def test_dropouts_act_in_training_only(which):
    torch.manual_seed(0)
    rates = {"dropout": 0.0, "attention_dropout": 0.0, which: 0.5}
    encoder = Encoder(depth=1, width=8, heads=2, mlp_width=16, **rates)
    tokens = torch.randn(1, 4, 8)
    assert not torch.equal(encoder(tokens), encoder(tokens))
    encoder.eval()
    assert torch.equal(encoder(tokens), encoder(tokens))


def test_attention_weights_are_dropped_too(monkeypatch):
    seen = []
    plain = F.scaled_dot_product_attention

    def watched(*tensors, dropout_p=0.0):
        seen.append(dropout_p)
        return plain(*tensors, dropout_p=dropout_p)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    attention = Attention(8, 2, dropout=0.25)
    attention(torch.randn(1, 4, 8))
    attention.eval()(torch.randn(1, 4, 8))
    assert seen == [0.25, 0.0]


def test_the_same_grid_is_left_alone():
    embeddings = torch.randn(1, 6, 3)
    assert resample_grid(embeddings, (2, 3), (2, 3)) is embeddings


def test_rows_stay_rows():
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing="ij")
    grid = torch.stack((rows, columns), dim=-1).reshape(1, 24, 2)
    larger = resample_grid(grid, (4, 6), (8, 18)).reshape(8, 18, 2)
    # Within, cubic interpolation keeps straight lines: pixel i of n at (i + 1/2) N / n - 1/2.
    inner = ((torch.arange(8) + 0.5) / 2 - 0.5)[3:5]
    torch.testing.assert_close(larger[3:5, 5, 0], inner)
    assert larger[..., 0].std(dim=1).max() < 1e-5
    assert larger[..., 1].std(dim=0).max() < 1e-5
    inner = ((torch.arange(18) + 0.5) / 3 - 0.5)[7:11]
    torch.testing.assert_close(larger[3, 7:11, 1], inner)


@pytest.mark.parametrize("new", [(7, 7), (3, 4), (14, 9)])
def test_resampling_is_timms(torchvision_ops, new):
    from timm.layers import resample_abs_pos_embed

    torch.manual_seed(0)
    embeddings = torch.randn(1, 30, 8)
    expected = resample_abs_pos_embed(embeddings, new, old_size=(6, 5), num_prefix_tokens=0)
    torch.testing.assert_close(resample_grid(embeddings, (6, 5), new), expected)
