"""LLaVA-Mini in plain PyTorch: compressor, projector, pre-fusion and Llama decoder; the towers are in clip.py.

Names of parameters are those of the Hugging Face checkpoints. Letters in shapes: N frames, P patches per frame,
D vision width, C2 visual tokens per frame, H language width, hd head size, A text rows, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training.model.clip import VisionTower, initialize

PLACEHOLDER = -200
"""The ID of the image placeholder in a prompt."""

FRAMES_AT_ONCE = 64

Cache = tuple[Tensor, Tensor]
"""Keys and values of one layer, each [B, key/value heads, rows, head size]."""


# Configurations


@dataclass
class LanguageConfig:
    vocab: int
    width: int = 192
    layers: int = 4
    heads: int = 6
    kv_heads: int = 2
    mlp: int = 512
    rope_theta: float = 1e7
    rope_scaling: dict | None = None
    eps: float = 1e-5
    tied: bool = False

    @property
    def head_size(self) -> int:
        return self.width // self.heads

    @staticmethod
    def from_hf(config: dict) -> LanguageConfig:
        return LanguageConfig(
            vocab=config["vocab_size"],
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            kv_heads=config.get("num_key_value_heads", config["num_attention_heads"]),
            mlp=config["intermediate_size"],
            rope_theta=config.get("rope_theta", 10_000.0),
            rope_scaling=config.get("rope_scaling"),
            eps=config.get("rms_norm_eps", 1e-6),
            tied=config.get("tie_word_embeddings", False),
        )


@dataclass
class FusionConfig:
    compressor_size: int = 1
    compressor_width: int = 128
    compressor_heads: int = 4
    prefusion_layers: int = 2
    select_layer: int = -2

    @property
    def tokens(self) -> int:
        """C2, the visual tokens of a frame."""
        return self.compressor_size**2

    @staticmethod
    def from_hf(config: dict) -> FusionConfig:
        return FusionConfig(
            compressor_size=config.get("compressor_size", 2),
            compressor_width=config.get("compressor_embed_dim", 1024),
            compressor_heads=config.get("compressor_num_heads", 8),
            prefusion_layers=config.get("prefusion_layer_num", 4),
            select_layer=config.get("mm_vision_select_layer", -2),
        )


# Compressor and projector


def sine_cosine_positions(side: int, width: int) -> Tensor:
    """[side * side, width]: sine and cosine of the column, then of the row."""
    quarter = width // 4
    omega = 10_000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    place = torch.arange(side, dtype=torch.float64)[:, None] * omega
    wave = torch.cat([place.sin(), place.cos()], dim=1)
    columns, rows = wave.repeat(side, 1), wave.repeat_interleave(side, dim=0)
    return torch.cat([columns, rows], dim=1).float()


class PackedAttention(nn.Module):
    """Cross-attention with torch's packed names: rows of q, then of k, then of v."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        count, width = key.shape[0], query.shape[-1]
        q, k, v = (self.part(x, number) for number, x in enumerate((query, key, value)))
        mixed = F.scaled_dot_product_attention(q.expand(count, -1, -1, -1), k, v)
        return self.out_proj(mixed.transpose(1, 2).reshape(count, -1, width))

    def part(self, x: Tensor, number: int) -> Tensor:
        """Rows [N, R, D] through the projection of q (0), k (1) or v (2): [N, heads, R, head size]."""
        weight, bias = self.in_proj_weight.chunk(3)[number], self.in_proj_bias.chunk(3)[number]
        return F.linear(x, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """[N, heads, queries, keys], before the softmax."""
        q, k = self.part(query, 0), self.part(key, 1)
        return q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5


class Compressor(nn.Module):
    """P patches of a frame to C2 tokens, in the width of the vision tower."""

    def __init__(self, cfg: FusionConfig) -> None:
        super().__init__()
        self.size = cfg.compressor_size
        width = cfg.compressor_width
        self.query = nn.Parameter(torch.randn(cfg.tokens, width) * 0.02)
        self.pos_embed = nn.Parameter(sine_cosine_positions(self.size, width))
        self.attn = PackedAttention(width, cfg.compressor_heads)
        self.ln_q = nn.LayerNorm(width, 1e-5)
        self.ln_kv = nn.LayerNorm(width, 1e-5)
        initialize(self, 1)

    def positions(self, keys: int) -> Tensor:
        """The position table resized to the key grid."""
        side = math.isqrt(keys)
        if side == self.size:
            return self.pos_embed
        grid = self.pos_embed.view(1, self.size, self.size, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
        return grid.flatten(2)[0].T

    def forward(self, patches: Tensor) -> Tensor:
        """[N, P, D] to [N, C2, D]."""
        value = self.ln_kv(patches)
        return self.attn(self.queries(), value + self.positions(patches.shape[1]), value)

    def queries(self) -> Tensor:
        """[1, C2, D]."""
        return (self.ln_q(self.query) + self.pos_embed)[None]

    def scores(self, patches: Tensor) -> Tensor:
        """Scores [N, heads, C2, P] of the patches [N, P, D], before the softmax."""
        return self.attn.scores(self.queries(), self.ln_kv(patches) + self.positions(patches.shape[1]))


class Projector(nn.Sequential):
    """`mlp2x_gelu`: two linears at the indices 0 and 2."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__(nn.Linear(source, target), nn.GELU(), nn.Linear(target, target))
        initialize(self, 1)


# Llama


def rope_frequencies(cfg: LanguageConfig) -> Tensor:
    """[hd / 2], with Llama 3's scaling where the configuration has it."""
    size = cfg.head_size
    inverse = 1.0 / (cfg.rope_theta ** (torch.arange(0, size, 2, dtype=torch.int64).float() / size))
    scaling = cfg.rope_scaling
    if not scaling:
        return inverse
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "default":
        return inverse
    if kind != "llama3":
        raise ValueError(f"rope_scaling of type {kind!r} is not supported")
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    original = scaling["original_max_position_embeddings"]
    wavelength = 2 * math.pi / inverse
    blend = (original / wavelength - low) / (high - low)
    between = (1 - blend) * inverse / factor + blend * inverse
    slow = torch.where(wavelength > original / low, inverse / factor, between)
    return torch.where(wavelength < original / high, inverse, slow)


def rope_tables(cfg: LanguageConfig, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine [..., hd] of the angles at `positions` [...], in float32 as the reference computes them."""
    angles = positions[..., None].float() * rope_frequencies(cfg)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def causal_bias(queries: int, keys: int) -> Tensor:
    """[1, 1, queries, keys] for the last `queries` of `keys` rows: 0 where a row attends, else -inf."""
    bias = torch.full((queries, keys), float("-inf")).triu(keys - queries + 1)
    return bias[None, None]


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


class LlamaAttention(nn.Module):
    def __init__(self, cfg: LanguageConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_size = cfg.heads, cfg.kv_heads, cfg.head_size
        queries, keys = cfg.heads * cfg.head_size, cfg.kv_heads * cfg.head_size
        self.q_proj = nn.Linear(cfg.width, queries, bias=False)
        self.k_proj = nn.Linear(cfg.width, keys, bias=False)
        self.v_proj = nn.Linear(cfg.width, keys, bias=False)
        self.o_proj = nn.Linear(queries, cfg.width, bias=False)
        self.kept_head: int | None = None
        self.kept: Tensor | None = None
        """In training, scores [B, queries, keys] of `kept_head` in the last call, bias included."""

    def spread(self, x: Tensor) -> Tensor:
        """Every key/value head for each of its query heads."""
        if self.kv_heads == self.heads:
            return x
        batch, _, rows, size = x.shape
        x = x[:, :, None].expand(-1, -1, self.heads // self.kv_heads, -1, -1)
        return x.reshape(batch, self.heads, rows, size)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor | None, past: Cache | None, skip: int
    ) -> tuple[Tensor, Cache]:
        """Queries are the rows from `skip` on; keys are all rows. cos and sin: [B or 1, 1, rows, hd]."""
        batch, rows, _ = x.shape
        asked = x[:, skip:] if skip else x
        q = self.q_proj(asked).view(batch, rows - skip, self.heads, self.head_size).transpose(1, 2)
        k = self.k_proj(x).view(batch, rows, self.kv_heads, self.head_size).transpose(1, 2)
        v = self.v_proj(x).view(batch, rows, self.kv_heads, self.head_size).transpose(1, 2)
        q, k = rotate(q, cos[..., skip:, :], sin[..., skip:, :]), rotate(k, cos, sin)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        causal = bias is None and q.shape[2] == k.shape[2]
        if bias is None and not causal and q.shape[2] > 1:
            bias = causal_bias(q.shape[2], k.shape[2])
        if bias is not None and torch.is_grad_enabled():
            # Training. The fused kernel takes twice as long: its backward pass is slow with a mask.
            kind = torch.bfloat16 if torch.is_autocast_enabled("cpu") else q.dtype
            scores = torch.matmul(q.to(kind) * self.head_size**-0.5, self.spread(k).to(kind).transpose(-1, -2))
            scores = scores + bias.to(kind)
            self.kept = None if self.kept_head is None else scores[:, self.kept_head]
            mixed = torch.matmul(scores.softmax(-1), self.spread(v).to(kind))
        else:
            mixed = F.scaled_dot_product_attention(
                q, self.spread(k), self.spread(v), attn_mask=bias, is_causal=causal and q.shape[2] > 1
            )
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, rows - skip, -1)), (k, v)


class LlamaMLP(nn.Module):
    def __init__(self, cfg: LanguageConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(cfg.width, cfg.mlp, bias=False)
        self.up_proj = nn.Linear(cfg.width, cfg.mlp, bias=False)
        self.down_proj = nn.Linear(cfg.mlp, cfg.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, cfg: LanguageConfig) -> None:
        super().__init__()
        self.self_attn = LlamaAttention(cfg)
        self.mlp = LlamaMLP(cfg)
        self.input_layernorm = RMSNorm(cfg.width, cfg.eps)
        self.post_attention_layernorm = RMSNorm(cfg.width, cfg.eps)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        bias: Tensor | None = None,
        past: Cache | None = None,
        keep: bool = False,
        skip: int = 0,
    ) -> Tensor | tuple[Tensor, Cache]:
        """x [B, N, H]; cos, sin [B or 1, N, hd]; bias [B or 1, 1, N - skip, M + N] added to scores, causal without it.

        `past` holds the M rows before; with `keep` the cache of all M + N rows is returned too. The first `skip` rows
        are keys and values only: the result does not contain them.
        """
        mixed, cache = self.self_attn(self.input_layernorm(x), cos[:, None], sin[:, None], bias, past, skip)
        x = (x[:, skip:] if skip else x) + mixed
        x = x + self.mlp(self.post_attention_layernorm(x))
        return (x, cache) if keep else x


# LLaVA-Mini


class LlavaMiniBody(nn.Module):
    def __init__(self, language: LanguageConfig, fusion: FusionConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(language.vocab, language.width)
        self.layers = nn.ModuleList(DecoderLayer(language) for _ in range(language.layers))
        self.prefusion_layers = nn.ModuleList(DecoderLayer(language) for _ in range(fusion.prefusion_layers))
        self.norm = RMSNorm(language.width, language.eps)
        self.mm_projector = Projector(fusion.compressor_width, language.width)
        self.compressor = Compressor(fusion)
        initialize(self.embed_tokens, 1)
        initialize(self.layers, language.layers)
        initialize(self.prefusion_layers, fusion.prefusion_layers)


class LlavaMini(nn.Module):
    """Everything but the vision tower."""

    def __init__(self, language: LanguageConfig, fusion: FusionConfig) -> None:
        super().__init__()
        self.language, self.fusion = language, fusion
        self.model = LlavaMiniBody(language, fusion)
        if not language.tied:
            self.lm_head = nn.Linear(language.width, language.vocab, bias=False)
            nn.init.normal_(self.lm_head.weight, std=0.02)

    def embed(self, ids: Tensor) -> Tensor:
        """Rows of the table; ids below 0 take row 0, as in the reference."""
        return self.model.embed_tokens(ids.clamp_min(0))

    def project(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Patches [N, P, D] of the tower to patch rows [N, P, H] and compressed rows [N, C2, H]."""
        compressed = self.model.compressor(patches)
        rows = self.model.mm_projector(torch.cat([patches, compressed], dim=1))
        return rows[:, : patches.shape[1]], rows[:, patches.shape[1] :]

    def prefuse(
        self,
        patch_rows: Tensor,
        compressed_rows: Tensor,
        text: Tensor | None = None,
        text_positions: Tensor | None = None,
        text_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Frame rows [N, P + C2, H] and text [N, A, H] through the pre-fusion layers: fused compressed and text rows.

        Causal over [patches, compressed, text]. `text_positions` [N or 1, A] and `text_bias` [N or 1, 1, A, P + C2 + A]
        replace running positions and the causal triangle of the text, so that several texts can follow one frame.
        """
        patches, visual = patch_rows.shape[1], patch_rows.shape[1] + compressed_rows.shape[1]
        x = torch.cat([patch_rows, compressed_rows], dim=1)
        positions = torch.arange(visual)[None]
        bias = None
        if text is not None:
            x = torch.cat([x, text], dim=1)
            if text_positions is None:
                text_positions = torch.arange(visual, x.shape[1])[None]
            positions = torch.cat([positions.expand(len(text_positions), -1), text_positions], dim=1)
            if text_bias is not None:
                above = causal_bias(x.shape[1], x.shape[1])[:, :, :visual]
                bias = torch.cat([above.expand(len(text_bias), -1, -1, -1), text_bias], dim=2)
        cos, sin = rope_tables(self.language, positions)
        if bias is None:
            last_bias = causal_bias(x.shape[1] - patches, x.shape[1])
        else:
            last_bias = bias[:, :, patches:]
        layers = self.model.prefusion_layers
        for layer in layers[:-1]:
            x = layer(x, cos, sin, bias)
        x = layers[-1](x, cos, sin, last_bias, skip=patches) if len(layers) else x[:, patches:]
        compressed = x[:, : visual - patches]
        return compressed, None if text is None else x[:, visual - patches :]

    def decode(self, rows: Tensor, positions: Tensor, bias: Tensor | None = None) -> Tensor:
        """Language model over rows [B, N, H] at positions [B or 1, N]; hidden rows after the final norm.

        Causal without a bias [B or 1, 1, N, N].
        """
        cos, sin = rope_tables(self.language, positions)
        for layer in self.model.layers:
            rows = layer(rows, cos, sin, bias)
        return self.model.norm(rows)

    def extend(self, rows: Tensor, start: int, caches: list[Cache | None]) -> tuple[Tensor, list[Cache]]:
        """As `decode`, for rows that follow `start` earlier ones held in `caches`."""
        cos, sin = rope_tables(self.language, torch.arange(start, start + rows.shape[1])[None])
        kept: list[Cache] = []
        for layer, past in zip(self.model.layers, caches, strict=True):
            rows, cache = layer(rows, cos, sin, past=past, keep=True)
            kept.append(cache)
        return self.model.norm(rows), kept

    def logits(self, hidden: Tensor) -> Tensor:
        table = self.model.embed_tokens if self.language.tied else self.lm_head
        return F.linear(hidden, table.weight)

    def fuse(self, patches: Tensor, ids: list[int]) -> tuple[Tensor, Tensor]:
        """Frames [T, P, D] and a prompt: visual tokens [T, C2, H] and fused text of every frame [T, L, H]."""
        token_ids = torch.tensor(ids)
        raw = self.embed(token_ids)
        # Pre-fusion treats IDs of 0 and below as padding: masked, without a position, unchanged.
        seen = (token_ids > 0).nonzero()[:, 0]
        visual, texts = [], []
        for part in patches.split(FRAMES_AT_ONCE):
            text = raw.expand(len(part), -1, -1)
            compressed, fused = self.prefuse(*self.project(part), text[:, seen])
            visual.append(compressed)
            texts.append(text.index_copy(1, seen, fused))
        return torch.cat(visual), torch.cat(texts)

    def assemble(self, visual: Tensor, text: Tensor, ids: list[int]) -> Tensor:
        """Input rows [1, S, H] of the language model: all visual tokens replace the placeholder."""
        text = text.sum(dim=0) / len(text)
        if PLACEHOLDER not in ids:
            return text[None]
        place = ids.index(PLACEHOLDER)
        return torch.cat([text[:place], visual.flatten(0, 1), text[place + 1 :]])[None]

    @torch.no_grad()
    def generate(self, rows: Tensor, stop_ids: Iterable[int], max_tokens: int) -> tuple[list[int], Tensor]:
        """Greedy continuation of input rows [1, S, H] and the logits [V] of the last of them. A stop id ends the answer
        and is its last id."""
        stops = set(stop_ids)
        hidden, caches = self.extend(rows, 0, [None] * len(self.model.layers))
        prompt = scores = self.logits(hidden[0, -1])
        answer: list[int] = []
        start = rows.shape[1]
        while len(answer) < max_tokens:
            token = int(scores.argmax())
            answer.append(token)
            if token in stops or len(answer) == max_tokens:
                break
            hidden, caches = self.extend(self.embed(torch.tensor([[token]])), start, caches)
            start += 1
            scores = self.logits(hidden[0, -1])
        return answer, prompt

    @torch.no_grad()
    def answer(
        self,
        pixels_of_frames: Tensor | None,
        tower: VisionTower,
        ids: list[int],
        stop_ids: Iterable[int],
        max_tokens: int,
    ) -> tuple[list[int], Tensor]:
        """The reference's inference for frames [T, 3, S, S] and a prompt with one placeholder; see `generate`."""
        if pixels_of_frames is None:
            return self.generate(self.embed(torch.tensor([ids])), stop_ids, max_tokens)
        patches = torch.cat([tower(part) for part in pixels_of_frames.split(FRAMES_AT_ONCE)])
        visual, text = self.fuse(patches, ids)
        return self.generate(self.assemble(visual, text, ids), stop_ids, max_tokens)
