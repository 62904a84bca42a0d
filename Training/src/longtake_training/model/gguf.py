"""Turns the GGUF file of a Llama into a Hugging Face folder with f32 weights; needs `gguf` and `tokenizers`.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def hugging_face_name(name: str) -> str:
    """The tensor's name in transformers: `blk.3.attn_q.weight` is `model.layers.3.self_attn.q_proj.weight`."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    match name.split("."):
        case ["blk", layer, part, kind] if part in NAMES:
            return f"model.layers.{int(layer)}.{NAMES[part]}.{kind}"
    raise ValueError(f"{name}: not a tensor of a Llama")


def interleaved(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key projection as GGUF has them: in each head, row i and row i + d/2 are neighbors.

    Source: `LlamaModel.permute` in llama.cpp's convert_hf_to_gguf.py.
    """
    half = weights.shape[0] // heads // 2
    return weights.reshape(heads, 2, half, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def halves(weights: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `interleaved`: rows as transformers has them, the two halves of each head one after the other."""
    half = weights.shape[0] // heads // 2
    return weights.reshape(heads, half, 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


class GGUF:
    """The fields and tensors of a file."""

    def __init__(self, file: Path) -> None:
        from gguf import GGUFReader

        self.file, self.reader = file, GGUFReader(file)

    def __getitem__(self, name: str):
        field = self.reader.get_field(name)
        if field is None:
            raise KeyError(f"{self.file}: no field {name}")
        return field.contents()

    def tensors(self) -> dict[str, np.ndarray]:
        """Every tensor as f32, row-major, under its name in the file."""
        from gguf import quants

        return {
            tensor.name: np.ascontiguousarray(quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
            for tensor in self.reader.tensors
        }


def config_of(source: GGUF, tied: bool) -> dict:
    if source["general.architecture"] != "llama":
        raise ValueError(f"{source.file}: architecture {source['general.architecture']}, not llama")
    hidden, heads = source["llama.embedding_length"], source["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": source["llama.feed_forward_length"],
        "num_hidden_layers": source["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": source["llama.attention.head_count_kv"],
        "head_dim": hidden // heads,
        "max_position_embeddings": source["llama.context_length"],
        "rms_norm_eps": float(f"{source['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_theta": float(source["llama.rope.freq_base"]),
        "vocab_size": source["llama.vocab_size"],
        "bos_token_id": source["tokenizer.ggml.bos_token_id"],
        "eos_token_id": source["tokenizer.ggml.eos_token_id"],
        "tie_word_embeddings": tied,
        "torch_dtype": "float32",
    }


def tokenizer_of(source: GGUF):
    """SmolLM's tokenizer: single digits and GPT-2's expression, then byte pairs.

    Source: `LLAMA_VOCAB_PRE_TYPE_SMOLLM` in llama.cpp's llama-vocab.cpp.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    if (source["tokenizer.ggml.model"], source["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
        raise ValueError(f"{source.file}: not SmolLM's tokenizer")
    tokens, control = source["tokenizer.ggml.tokens"], 3
    merges = [tuple(merge.split(" ")) for merge in source["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = source["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == control]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


def write_weights(tensors: dict[str, np.ndarray], config: dict, folder: Path) -> None:
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def convert(file: Path, folder: Path) -> None:
    """Writes config.json, model.safetensors and tokenizer.json."""
    source = GGUF(file)
    heads = {"attn_q": source["llama.attention.head_count"], "attn_k": source["llama.attention.head_count_kv"]}
    tensors = {}
    for name, values in source.tensors().items():
        part = name.split(".")[2] if name.startswith("blk.") else ""
        tensors[hugging_face_name(name)] = np.ascontiguousarray(
            halves(values, heads[part]) if part in heads else values
        )
    write_weights(tensors, config_of(source, "lm_head.weight" not in tensors), folder)
    tokenizer_of(source).save(str(folder / "tokenizer.json"))
