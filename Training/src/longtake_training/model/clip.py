"""The two towers of CLIP in plain PyTorch. Names of parameters are those of the Hugging Face checkpoints.

Letters in shapes: N frames, P patches per frame, D vision width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            mlp=config["intermediate_size"],
            image=config["image_size"],
            patch=config["patch_size"],
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
            vocab=config["vocab_size"],
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            mlp=config["intermediate_size"],
            context=config["max_position_embeddings"],
            eos_id=config.get("eos_token_id", 2),
            eps=config.get("layer_norm_eps", 1e-5),
        )


def initialize(module: nn.Module, depth: int) -> None:
    """Initializes weights: linear layers by fan-in, those at the end of a residual branch smaller."""
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
        # A convolution whose stride is its kernel size is one matrix product over patches.
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
        """Pooled rows [N, width]. Causal, so tokens after the end of the text have no effect."""
        x = self.embeddings(ids)
        for layer in self.encoder.layers:
            x = layer(x, causal=True)
        x = self.final_layer_norm(x)
        # Old configurations name a wrong end ID (2); there the largest ID is the end.
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
        """[N, projection], not normalized."""
        return self.visual_projection(self.tower()(pixels, pooled=True)[1])

    def text_embedding(self, ids: Tensor) -> Tensor:
        """[N, projection], not normalized."""
        return self.text_projection(self.text_model(ids))
