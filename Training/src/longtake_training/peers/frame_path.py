"""The frame path of LLaVA-Mini-8B with random weights in PyTorch, as the reference computes it.

    python -m longtake_training.peers.frame_path f32|bf16 [FRAMES AT ONCE]

All 24 layers of CLIP ViT-L/14 at 336 pixels but the last, projector, compressor, and 4 pre-fusion layers over patches,
compressed token and 45 text rows. Prints the median of 5 runs as JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

torch.set_grad_enabled(False)


class Clip(nn.Module):
    """A pre-norm layer of CLIP ViT-L."""

    def __init__(self, width: int = 1024, inner: int = 4096, heads: int = 16) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, rows, width = x.shape
        q, k, v = self.qkv(self.norms[0](x)).view(batch, rows, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, rows, width))
        hidden = self.up(self.norms[1](x))
        return x + self.down(hidden * torch.sigmoid(1.702 * hidden))


class Llama(nn.Module):
    """A decoder layer of Llama 3.1 8B."""

    def __init__(self, width: int = 4096, inner: int = 14336, heads: int = 32, groups: int = 8) -> None:
        super().__init__()
        self.size, self.heads, self.groups = width // heads, heads, groups
        self.norms = nn.ModuleList([nn.RMSNorm(width, eps=1e-5) for _ in range(2)])

        def linear(inputs: int, outputs: int) -> nn.Linear:
            return nn.Linear(inputs, outputs, bias=False)

        self.q, self.o = linear(width, width), linear(width, width)
        self.k, self.v = linear(width, groups * self.size), linear(width, groups * self.size)
        self.gate, self.up, self.down = linear(width, inner), linear(width, inner), linear(inner, width)

    def forward(self, x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
        batch, rows, width = x.shape
        normed = self.norms[0](x)

        def heads(values: torch.Tensor, count: int) -> torch.Tensor:
            return values.view(batch, rows, count, self.size).transpose(1, 2)

        def rotated(values: torch.Tensor) -> torch.Tensor:
            left, right = values.chunk(2, dim=-1)
            return values * cosines + torch.cat([-right, left], -1) * sines

        q, k = rotated(heads(self.q(normed), self.heads)), rotated(heads(self.k(normed), self.groups))
        v = heads(self.v(normed), self.groups)
        k, v = (part.repeat_interleave(self.heads // self.groups, 1) for part in (k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, rows, width))
        normed = self.norms[1](x)
        return x + self.down(functional.silu(self.gate(normed)) * self.up(normed))


def main() -> None:
    name, batch = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[name]
    tower = nn.ModuleList([Clip() for _ in range(23)]).to(kind)
    embedding = nn.Linear(3 * 14 * 14, 1024, bias=False).to(kind)
    fusion = nn.ModuleList([Llama() for _ in range(4)]).to(kind)
    compressor = nn.MultiheadAttention(1024, 8, batch_first=True).to(kind)
    projector = nn.Sequential(nn.Linear(1024, 4096), nn.GELU(), nn.Linear(4096, 4096)).to(kind)
    pixels = torch.randn(batch, 576, 588).to(kind)
    head = torch.randn(batch, 1, 1024).to(kind)
    query, text = torch.randn(batch, 1, 1024).to(kind), torch.randn(batch, 45, 4096).to(kind)
    angles = torch.outer(torch.arange(576 + 1 + 45), 500_000.0 ** (-torch.arange(64) / 64))
    cosines, sines = (torch.cat([part, part], -1).to(kind) for part in (angles.cos(), angles.sin()))

    def frame() -> None:
        x = torch.cat([head, embedding(pixels)], 1)
        for layer in tower:
            x = layer(x)
        patches = x[:, 1:]
        compressed, _ = compressor(query, patches, patches)
        x = torch.cat([projector(patches), projector(compressed), text], 1)
        for layer in fusion:
            x = layer(x, cosines, sines)

    frame()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        frame()
        times.append((time.perf_counter() - start) / batch)
    peer = f"PyTorch {torch.__version__.split('+')[0]} {name}, {batch} at once"
    print(json.dumps({"peer": peer, "seconds": statistics.median(times)}))


if __name__ == "__main__":
    main()
