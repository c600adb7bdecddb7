"""The parts of a transformer, written so that its attention can be read."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SelfAttention(nn.Module):
    """Multi-head self-attention. Introduced in chapter 11.

    Training uses PyTorch's fused kernel, which never stores the attention. With ``explicit = True`` the same result is
    computed step by step and the attention passes through the submodule ``seen``: a forward hook there reads it, shape
    (b, heads, t, t), each row adding up to 1, with its gradient if wanted. Per instance, not stored with the weights.

    Parameters
    ----------
    width, heads : int
        Length of a token, and number of heads; the second divides the first.

    Source: Vaswani et al. 2017.

    Examples
    --------
    >>> attention = SelfAttention(width=8, heads=2)
    >>> attention(torch.zeros(1, 5, 8)).shape, attention.weights(torch.zeros(1, 5, 8)).shape
    (torch.Size([1, 5, 8]), torch.Size([1, 2, 5, 5]))
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"Expected a width that the number of heads divides, but got {width} and {heads}.")
        self.heads = heads
        self.explicit = False
        self.qkv = nn.Linear(width, 3 * width)
        self.seen = nn.Identity()
        self.project = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Let every token (b, t, width) gather from all others; same shape."""
        query, key, value = self._split(tokens)
        if self.explicit:
            mixed = self.seen(_attention(query, key)) @ value
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value)
        result: torch.Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return result

    def weights(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return who attends to whom for the module's input (b, t, width): (b, heads, t, t), rows adding up to 1."""
        query, key, _ = self._split(tokens)
        return _attention(query, key)

    def _split(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return query, key, value


def _attention(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    scores: torch.Tensor = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(dim=-1)


class EncoderBlock(nn.Module):
    """Attention, then two dense layers, each behind a layer norm and beside a shortcut. Introduced in chapter 11.

    Parameters
    ----------
    width, heads : int
        Length of a token, number of attention heads.
    dropout : float
        After the attention and after the dense layers.

    Source: Dosovitskiy et al. 2021 (norm first, GELU, four times the width inside).
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (b, t, width) to tokens of the same shape."""
        tokens = tokens + self.dropout(self.attention(self.norm1(tokens)))
        result: torch.Tensor = tokens + self.dropout(self.dense(self.norm2(tokens)))
        return result


class Encoder(nn.Module):
    """Class token, positions, encoder blocks and a last norm. Introduced in chapter 11.

    Parameters
    ----------
    grid : tuple of int
        Rows and columns of the image's tokens.
    width, depth, heads : int
        Length of a token, number of blocks, heads in each.
    dropout : float
        In every block.
    """

    def __init__(self, grid: tuple[int, int], width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + grid[0] * grid[1], width))
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.apply(_small_normal)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Read feature maps (b, width, h, w) as tokens, row by row, and return the class token (b, width)."""
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1) + self.positions
        summary: torch.Tensor = self.norm(self.blocks(tokens)[:, 0])
        return summary


def _small_normal(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
