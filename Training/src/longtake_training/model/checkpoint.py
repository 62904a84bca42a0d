"""Writes and reads a model as a Hugging Face checkpoint folder with its CLIP towers in a subfolder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from longtake_training.model.clip import ClipModel, TextConfig, VisionConfig
from longtake_training.model.llava_mini import FusionConfig, LanguageConfig, LlavaMini
from longtake_training.model.tokenizer import ClipTokenizer, Files, Tokenizer

TOWER = "vision_tower"
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
MAX_POSITIONS = 131_072


def export(
    folder: Path | str,
    clip: ClipModel,
    llava: LlavaMini,
    tokenizer_files: Files,
    clip_tokenizer_files: Files,
    note: str,
    configs: dict[str, dict] | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Writes `folder`. `note` is shown with the model; `configs` adds keys to its JSON files, by file name."""
    folder = Path(folder)
    tower = folder / TOWER
    tower.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict] = {
        "config.json": _model_config(llava, clip.vision_cfg, Tokenizer(tokenizer_files), note, dtype),
        "generation_config.json": _generation_config(Tokenizer(tokenizer_files)),
        f"{TOWER}/config.json": _clip_config(clip, ClipTokenizer(clip_tokenizer_files), dtype),
        f"{TOWER}/preprocessor_config.json": _preprocessor_config(clip.vision_cfg),
    }
    for name, more in (configs or {}).items():
        files[name] = files.get(name, {}) | more
    for name, config in files.items():
        (folder / name).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for place, texts in ((folder, tokenizer_files), (tower, clip_tokenizer_files)):
        for name, text in texts.items():
            (place / name).write_text(text)
    save_file(_tensors(llava, dtype), folder / "model.safetensors", metadata={"format": "pt"})
    save_file(_tensors(clip, dtype), tower / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path | str) -> tuple[LlavaMini, ClipModel]:
    """Reads the models that `export` wrote, as float32."""
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text())
    llava = LlavaMini(LanguageConfig.from_hf(config), FusionConfig.from_hf(config))
    towers = json.loads((folder / TOWER / "config.json").read_text())
    clip = ClipModel(VisionConfig.from_hf(towers), TextConfig.from_hf(towers), towers["projection_dim"])
    for model, path in ((llava, folder), (clip, folder / TOWER)):
        values = load_file(path / "model.safetensors")
        model.load_state_dict({name: value.float() for name, value in values.items()})
        model.eval()
    return llava, clip


def _tensors(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    # The scale is an exponent: rounding it to 8 bits would change every similarity.
    return {
        name: value.detach().to(torch.float32 if name == "logit_scale" else dtype).contiguous()
        for name, value in model.state_dict().items()
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _model_config(llava: LlavaMini, vision: VisionConfig, tokenizer: Tokenizer, note: str, dtype: torch.dtype) -> dict:
    language, fusion = llava.language, llava.fusion
    if tokenizer.vocab_size != language.vocab:
        raise ValueError(f"{tokenizer.vocab_size} tokens for a model of {language.vocab}")
    return {
        "_longtake": note,
        "architectures": ["LlavaMiniLlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "bos_token_id": tokenizer.begin_id,
        "eos_token_id": tokenizer.stop_ids,
        "hidden_act": "silu",
        "hidden_size": language.width,
        "intermediate_size": language.mlp,
        "num_hidden_layers": language.layers,
        "num_attention_heads": language.heads,
        "num_key_value_heads": language.kv_heads,
        "head_dim": language.head_size,
        "vocab_size": language.vocab,
        "rms_norm_eps": language.eps,
        "max_position_embeddings": MAX_POSITIONS,
        "initializer_range": 0.02,
        "rope_theta": language.rope_theta,
        "rope_scaling": language.rope_scaling,
        "tie_word_embeddings": language.tied,
        "model_type": "llava_mini_llama",
        "torch_dtype": _name(dtype),
        "use_cache": True,
        "transformers_version": "4.43.1",
        "pretraining_tp": 1,
        "compressor_size": fusion.compressor_size,
        "compressor_embed_dim": fusion.compressor_width,
        "compressor_num_heads": fusion.compressor_heads,
        "prefusion_layer_num": fusion.prefusion_layers,
        "resolution_ratio": 1,
        "mm_projector_type": "mlp2x_gelu",
        "use_mm_proj": True,
        "mm_vision_tower": TOWER,
        "mm_hidden_size": vision.width,
        "mm_vision_select_layer": fusion.select_layer,
        "mm_vision_select_feature": "patch",
        "mm_patch_merge_type": "flat",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "image_aspect_ratio": "square",
        "tokenizer_padding_side": "right",
        "tokenizer_model_max_length": MAX_POSITIONS,
        "freeze_mm_mlp_adapter": False,
        "tune_mm_mlp_adapter": False,
    }


def _generation_config(tokenizer: Tokenizer) -> dict:
    return {
        "bos_token_id": tokenizer.begin_id,
        "eos_token_id": tokenizer.stop_ids,
        "do_sample": False,
        "max_new_tokens": 64,
        "transformers_version": "4.43.1",
    }


def _clip_config(clip: ClipModel, tokenizer: ClipTokenizer, dtype: torch.dtype) -> dict:
    vision, text = clip.vision_cfg, clip.text_cfg
    if (tokenizer.vocab_size, tokenizer.end_id) != (text.vocab, text.eos_id):
        raise ValueError(
            f"{tokenizer.vocab_size} tokens ending with {tokenizer.end_id} for a text tower of {text.vocab} tokens"
            f" ending with {text.eos_id}"
        )
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": clip.projection,
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "torch_dtype": _name(dtype),
        "transformers_version": "4.43.1",
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_act": "quick_gelu",
            "hidden_size": vision.width,
            "intermediate_size": vision.mlp,
            "num_hidden_layers": vision.layers,
            "num_attention_heads": vision.heads,
            "image_size": vision.image,
            "patch_size": vision.patch,
            "num_channels": 3,
            "layer_norm_eps": vision.eps,
            "projection_dim": clip.projection,
        },
        "text_config": {
            "model_type": "clip_text_model",
            "hidden_act": "quick_gelu",
            "hidden_size": text.width,
            "intermediate_size": text.mlp,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads,
            "max_position_embeddings": text.context,
            "vocab_size": text.vocab,
            "layer_norm_eps": text.eps,
            "projection_dim": clip.projection,
            "bos_token_id": tokenizer.start_id,
            "eos_token_id": text.eos_id,
        },
    }


def _preprocessor_config(vision: VisionConfig) -> dict:
    return {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "size": vision.image,
        "crop_size": vision.image,
        "do_resize": True,
        "do_center_crop": True,
        "do_normalize": True,
        "resample": 3,
        "image_mean": list(MEAN),
        "image_std": list(STD),
        "longtake_frame_layout": "squash_bicubic",
    }
