"""The transformer half of hybrid vision transformers: a pre-LN encoder, and position embeddings on a grid."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention, ``softmax(q k^T / sqrt(d)) v`` per head of d channels.

    Vaswani et al. 2017, "Attention is all you need", https://arxiv.org/abs/1706.03762.

    Args:
        width: Channels of the tokens.
        heads: Heads; divides `width`.
        dropout: Of the attention weights and of the output.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens (B, N, width) to the same shape."""
        query, key, value = (
            part(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        dropped = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropped)
        out: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return out


class MLP(nn.Module):
    """Two linear layers with GELU (exact) between them, dropout after each.

    Weights start as in the ViT paper's code: Xavier uniform, biases from N(0, 1e-6).

    Args:
        width: Channels in and out.
        hidden: Channels between.
        dropout: Dropout.
    """

    def __init__(self, width: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens (B, N, width) to the same shape."""
        out: Tensor = self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(tokens)))))
        return out


class EncoderBlock(nn.Module):
    """A pre-LN block: ``x + attention(norm(x))``, then ``x + mlp(norm(x))``.

    Args:
        width: Channels of the tokens.
        heads: Attention heads.
        mlp_width: Channels within the MLP.
        dropout: In the MLP.
        attention_dropout: In the attention.
    """

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float, attention_dropout: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = MLP(width, mlp_width, dropout)
        self.attention = Attention(width, heads, attention_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens (B, N, width) to the same shape."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        out: Tensor = tokens + self.mlp(self.mlp_norm(tokens))
        return out


class Encoder(nn.Module):
    """Pre-LN blocks and a final layer norm; 85,056,000 parameters as ViT-B.

    Dosovitskiy et al. 2020, "An image is worth 16x16 words", https://arxiv.org/abs/2010.11929.

    Args:
        depth: Blocks.
        width: Channels of the tokens.
        heads: Attention heads.
        mlp_width: Channels within the MLPs.
        dropout: In the MLPs.
        attention_dropout: In the attention.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        heads: int,
        mlp_width: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ):
        super().__init__()
        self.blocks = nn.Sequential(
            *(EncoderBlock(width, heads, mlp_width, dropout, attention_dropout) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens (B, N, width) to the same shape."""
        out: Tensor = self.norm(self.blocks(tokens))
        return out


def resample_grid(embeddings: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Interpolates position embeddings to another grid: bicubic, smoothed where the grid gets smaller.

    Args:
        embeddings: (1, rows * columns, width), row by row.
        old: Rows and columns that they were made for.
        new: Rows and columns wanted.

    Returns:
        (1, rows * columns, width) of the new grid, of the same type; the same tensor if the grids are equal.
    """
    if old == new:
        return embeddings
    grid = embeddings.reshape(1, *old, -1).permute(0, 3, 1, 2)
    at_least_single = torch.promote_types(grid.dtype, torch.float32)
    grid = F.interpolate(grid.to(at_least_single), size=new, mode="bicubic", antialias=True)
    return grid.flatten(2).transpose(1, 2).to(embeddings.dtype)
