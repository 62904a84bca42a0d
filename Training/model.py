"""LLaVA-Mini in plain PyTorch: CLIP towers, compressor, projector, pre-fusion and Llama decoder.

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

PLACEHOLDER = -200
"""The id that stands for the picture in a prompt."""

FRAMES_AT_ONCE = 64

Cache = tuple[Tensor, Tensor]
"""Keys and values of one layer, each [B, key/value heads, rows, head size]."""


# Configurations


@dataclass
class VisionConfig:
    width: int = 128
    layers: int = 4
    heads: int = 4
    mlp: int = 512
    image: int = 84
    patch: int = 14
    eps: float = 1e-5

    @property
    def side(self) -> int:
        return self.image // self.patch

    @property
    def patches(self) -> int:
        return self.side**2

    @staticmethod
    def from_hf(config: dict) -> VisionConfig:
        """From config.json of a vision tower or of a two-tower model."""
        config = config.get("vision_config", config)
        return VisionConfig(
            width=config["hidden_size"], layers=config["num_hidden_layers"], heads=config["num_attention_heads"],
            mlp=config["intermediate_size"], image=config["image_size"], patch=config["patch_size"],
            eps=config.get("layer_norm_eps", 1e-5),
        )


@dataclass
class TextConfig:
    vocab: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    mlp: int = 512
    context: int = 40
    eos_id: int = 0
    eps: float = 1e-5

    @staticmethod
    def from_hf(config: dict) -> TextConfig:
        config = config.get("text_config", config)
        return TextConfig(
            vocab=config["vocab_size"], width=config["hidden_size"], layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"], mlp=config["intermediate_size"],
            context=config["max_position_embeddings"], eos_id=config.get("eos_token_id", 2),
            eps=config.get("layer_norm_eps", 1e-5),
        )


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
            vocab=config["vocab_size"], width=config["hidden_size"], layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            kv_heads=config.get("num_key_value_heads", config["num_attention_heads"]),
            mlp=config["intermediate_size"], rope_theta=config.get("rope_theta", 10_000.0),
            rope_scaling=config.get("rope_scaling"), eps=config.get("rms_norm_eps", 1e-6),
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


def initialize(module: nn.Module, depth: int) -> None:
    """Weights for training from scratch: linears by their fan-in, those that end a residual branch smaller."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            std = part.in_features**-0.5
            if name.split(".")[-1] in ("o_proj", "down_proj", "out_proj", "fc2"):
                std *= (2 * depth) ** -0.5
            nn.init.normal_(part.weight, std=std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)


# CLIP


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


class ClipAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        batch, rows, width = x.shape
        shape = (batch, rows, self.heads, width // self.heads)
        q, k, v = (p(x).view(shape).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, rows, width))


class ClipMLP(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(quick_gelu(self.fc1(x)))


class ClipLayer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int, eps: float) -> None:
        super().__init__()
        self.self_attn = ClipAttention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width, eps)
        self.mlp = ClipMLP(width, inner)
        self.layer_norm2 = nn.LayerNorm(width, eps)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), causal)
        return x + self.mlp(self.layer_norm2(x))


class ClipEncoder(nn.Module):
    def __init__(self, cfg: VisionConfig | TextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ClipLayer(cfg.width, cfg.heads, cfg.mlp, cfg.eps) for _ in range(cfg.layers))


class VisionEmbeddings(nn.Module):
    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.patch = cfg.patch
        self.class_embedding = nn.Parameter(torch.randn(cfg.width) * 0.02)
        self.patch_embedding = nn.Conv2d(3, cfg.width, cfg.patch, cfg.patch, bias=False)
        self.position_embedding = nn.Embedding(cfg.patches + 1, cfg.width)

    def forward(self, pixels: Tensor) -> Tensor:
        count, channels, height, width = pixels.shape
        p = self.patch
        # A convolution whose step is its kernel is one matrix product over cut-out patches.
        cut = pixels.view(count, channels, height // p, p, width // p, p).permute(0, 2, 4, 1, 3, 5)
        cut = cut.reshape(count, (height // p) * (width // p), channels * p * p)
        patches = F.linear(cut, self.patch_embedding.weight.flatten(1))
        first = self.class_embedding.expand(count, 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionTransformer(nn.Module):
    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.embeddings = VisionEmbeddings(cfg)
        self.pre_layrnorm = nn.LayerNorm(cfg.width, cfg.eps)  # the misspelling is in the checkpoints
        self.encoder = ClipEncoder(cfg)
        self.post_layernorm = nn.LayerNorm(cfg.width, cfg.eps)
        initialize(self, cfg.layers)

    def hidden(self, pixels: Tensor) -> Tensor:
        """Hidden state 0."""
        return self.pre_layrnorm(self.embeddings(pixels))


class VisionTower(nn.Module):
    """The image half of CLIP, as `CLIPVisionModel` stores it."""

    def __init__(
        self, cfg: VisionConfig, select_layer: int = -2, vision_model: VisionTransformer | None = None
    ) -> None:
        super().__init__()
        self.cfg = cfg
        self.used = cfg.layers + 1 + select_layer if select_layer < 0 else select_layer
        self.vision_model = vision_model if vision_model is not None else VisionTransformer(cfg)

    def forward(self, pixels: Tensor, pooled: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Patch rows [N, P, D] of the selected layer; with `pooled` also the pooled output [N, D] of the last one."""
        model = self.vision_model
        x = model.hidden(pixels)
        for layer in model.encoder.layers[: self.used]:
            x = layer(x)
        patches = x[:, 1:]
        if not pooled:
            return patches
        for layer in model.encoder.layers[self.used :]:
            x = layer(x)
        return patches, model.post_layernorm(x[:, 0])


class TextEmbeddings(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(cfg.vocab, cfg.width)
        self.position_embedding = nn.Embedding(cfg.context, cfg.width)

    def forward(self, ids: Tensor) -> Tensor:
        return self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]


class TextTransformer(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.eos_id = cfg.eos_id
        self.embeddings = TextEmbeddings(cfg)
        self.encoder = ClipEncoder(cfg)
        self.final_layer_norm = nn.LayerNorm(cfg.width, cfg.eps)
        initialize(self, cfg.layers)

    def forward(self, ids: Tensor) -> Tensor:
        """Pooled rows [N, width]. Causal, so what follows the end of the text does not count."""
        x = self.embeddings(ids)
        for layer in self.encoder.layers:
            x = layer(x, causal=True)
        x = self.final_layer_norm(x)
        # Old configurations name the wrong end id (2); there the largest id is the end.
        end = ids if self.eos_id == 2 else (ids == self.eos_id).int()
        return x[torch.arange(len(ids)), end.argmax(dim=1)]


class ClipModel(nn.Module):
    """Both towers, as `CLIPModel` stores them."""

    def __init__(self, vision: VisionConfig, text: TextConfig, projection: int = 128) -> None:
        super().__init__()
        self.vision_cfg, self.text_cfg, self.projection = vision, text, projection
        self.vision_model = VisionTransformer(vision)
        self.text_model = TextTransformer(text)
        self.visual_projection = nn.Linear(vision.width, projection, bias=False)
        self.text_projection = nn.Linear(text.width, projection, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        nn.init.normal_(self.visual_projection.weight, std=vision.width**-0.5)
        nn.init.normal_(self.text_projection.weight, std=text.width**-0.5)

    def tower(self, select_layer: int = -2) -> VisionTower:
        """The image half, sharing this model's weights."""
        return VisionTower(self.vision_cfg, select_layer, self.vision_model)

    def image_embedding(self, pixels: Tensor) -> Tensor:
        """[N, projection], not normalised."""
        return self.visual_projection(self.tower()(pixels, pooled=True)[1])

    def text_embedding(self, ids: Tensor) -> Tensor:
        """[N, projection], not normalised."""
        return self.text_projection(self.text_model(ids))


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
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, w, b).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x, w, b in zip((query, key, value), weights, biases)
        )
        mixed = F.scaled_dot_product_attention(q.expand(count, -1, -1, -1), k, v)
        return self.out_proj(mixed.transpose(1, 2).reshape(count, -1, width))


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
        """The position table enlarged to the key grid."""
        side = math.isqrt(keys)
        if side == self.size:
            return self.pos_embed
        grid = self.pos_embed.view(1, self.size, self.size, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
        return grid.flatten(2)[0].T

    def forward(self, patches: Tensor) -> Tensor:
        """[N, P, D] to [N, C2, D]."""
        value = self.ln_kv(patches)
        query = (self.ln_q(self.query) + self.pos_embed)[None]
        return self.attn(query, value + self.positions(patches.shape[1]), value)


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
    """[1, 1, queries, keys] for the last `queries` of `keys` rows: 0 where a row may look, else -inf."""
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
        """Rows from `skip` on are asked, all of `x` can be seen. cos and sin: [B or 1, 1, rows, hd]."""
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
        if bias is not None and torch.is_autocast_enabled("cpu"):
            # In training. The fused kernel takes twice as long: its backward pass is slow where there is a mask.
            kind = torch.bfloat16
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
        self, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor | None = None, past: Cache | None = None,
        keep: bool = False, skip: int = 0,
    ) -> Tensor | tuple[Tensor, Cache]:
        """x [B, N, H]; cos, sin [B or 1, N, hd]; bias [B or 1, 1, N - skip, M + N] added to scores, causal without it.

        `past` holds the M rows before; with `keep` the rows of all M + N come back too. The result leaves out the first
        `skip` rows: they are seen by the others, but nobody needs what becomes of them.
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
        self, patch_rows: Tensor, compressed_rows: Tensor, text: Tensor | None = None,
        text_positions: Tensor | None = None, text_bias: Tensor | None = None,
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
        """Language model over rows [B, N, H] at positions [B or 1, N]; hidden rows behind the final norm.

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
        for layer, past in zip(self.model.layers, caches):
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
        # Ids of 0 and below are padding to pre-fusion: nobody sees them, they take no position and stay as they are.
        seen = (token_ids > 0).nonzero()[:, 0]
        visual, texts = [], []
        for part in patches.split(FRAMES_AT_ONCE):
            text = raw.expand(len(part), -1, -1)
            compressed, fused = self.prefuse(*self.project(part), text[:, seen])
            visual.append(compressed)
            texts.append(text.index_copy(1, seen, fused))
        return torch.cat(visual), torch.cat(texts)

    def assemble(self, visual: Tensor, text: Tensor, ids: list[int]) -> Tensor:
        """Input rows [1, S, H] of the language model: the placeholder gives way to all visual tokens."""
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
        self, pixels_of_frames: Tensor | None, tower: VisionTower, ids: list[int], stop_ids: Iterable[int],
        max_tokens: int,
    ) -> tuple[list[int], Tensor]:
        """The reference's inference for frames [T, 3, S, S] and a prompt with one placeholder; see `generate`."""
        if pixels_of_frames is None:
            return self.generate(self.embed(torch.tensor([ids])), stop_ids, max_tokens)
        patches = torch.cat([tower(part) for part in pixels_of_frames.split(FRAMES_AT_ONCE)])
        visual, text = self.fuse(patches, ids)
        return self.generate(self.assemble(visual, text, ids), stop_ids, max_tokens)
