"""Writes this folder's files with PyTorch: `python write.py`, with torch and safetensors.

The weights are those of the golden cases, in storages and views that state dicts have in practice.
"""

import collections
import json
import pathlib

import torch
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden"


def strided(tensor):
    """The same values as a view of a transposed storage."""
    return tensor.t().contiguous().t()


def packed(weights, names):
    """Replaces tensors by views of one storage, as a packed query, key and value projection has them."""
    whole = torch.cat([weights[name] for name in names])
    for name, part in zip(names, whole.split([len(weights[name]) for name in names])):
        weights[name] = part


def write_llava():
    """A LLaVA-Mini in two shards, with transposed, packed and Parameter-wrapped tensors."""
    weights = load_file(GOLDEN / "case13_truncation/model.safetensors")
    layer = "model.layers.0."
    packed(weights, [layer + f"self_attn.{part}_proj.weight" for part in "qkv"])
    for name in [layer + "mlp.gate_proj.weight", layer + "mlp.down_proj.weight", "lm_head.weight"]:
        weights[name] = strided(weights[name])
    weights["model.norm.weight"] = torch.nn.Parameter(weights["model.norm.weight"])
    weights[layer + "self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    names = sorted(weights)
    shards = [names[: len(names) // 2], names[len(names) // 2 :]]
    files = {f"pytorch_model-{i + 1:05}-of-00002.bin": part for i, part in enumerate(shards)}
    (HERE / "llava").mkdir(exist_ok=True)
    for file, part in files.items():
        torch.save({name: weights[name] for name in part}, HERE / "llava" / file)
    index = {
        "metadata": {"total_size": sum(t.nbytes for t in weights.values())},
        "weight_map": {name: file for file, part in files.items() for name in part},
    }
    (HERE / "llava/pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")


def write_tower():
    """A CLIP vision tower as nn.Module.state_dict() returns it: with _metadata, and the position ids of old versions."""
    weights = load_file(GOLDEN / "towers/clip64_28/model.safetensors")
    rows = len(weights["vision_model.embeddings.position_embedding.weight"])
    state = collections.OrderedDict(weights)
    state["vision_model.embeddings.position_ids"] = torch.arange(rows).expand((1, -1))
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    (HERE / "tower").mkdir(exist_ok=True)
    torch.save(state, HERE / "tower/pytorch_model.bin")


def write_clip():
    """A two-tower CLIP in one file, in protocol 4."""
    weights = load_file(GOLDEN / "case07_clip/clipmodel_eos_last/model.safetensors")
    for tower in ["text_model", "vision_model"]:
        rows = len(weights[tower + ".embeddings.position_embedding.weight"])
        weights[tower + ".embeddings.position_ids"] = torch.arange(rows).expand((1, -1))
    (HERE / "clip").mkdir(exist_ok=True)
    torch.save(weights, HERE / "clip/pytorch_model.bin", pickle_protocol=4)


def write_tied():
    """A language model whose output layer shares the storage of its embeddings."""
    weights = load_file(GOLDEN / "case08_llm/tied_tiny_embeddings/model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    (HERE / "tied").mkdir(exist_ok=True)
    torch.save(weights, HERE / "tied/pytorch_model.bin")


def write_types():
    """Every type and every kind of view, with the same values in safetensors."""
    torch.manual_seed(1)
    types = {
        "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16,
        "i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8,
        "bool": torch.bool, "u16": torch.uint16, "u32": torch.uint32, "u64": torch.uint64,
        "f8e4m3": torch.float8_e4m3fn, "f8e5m2": torch.float8_e5m2,
    }  # fmt: skip
    tensors = {name: (torch.randn(3, 5) * 20).abs().to(type) for name, type in types.items()}
    for name in ["f64", "f32", "f16", "bf16", "i64", "u8"]:
        base = (torch.randn(4, 6, 2) * 20).abs().to(types[name])
        tensors[name + ".transposed"] = base[:, :, 0].t()
        tensors[name + ".permuted"] = base.permute(2, 0, 1)
        tensors[name + ".sliced"] = base[1:3]
        tensors[name + ".every_second"] = base[::2, 1::2]
        tensors[name + ".expanded"] = base[:, :1].expand(4, 3, 2)
        tensors[name + ".scalar"] = base[2, 3, 1]
        tensors[name + ".one"] = base[2:3, 3:4, 1:2]
        tensors[name + ".empty"] = base[:0]
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, HERE / "types.safetensors")
    for protocol in range(2, 6):
        torch.save(tensors, HERE / f"types{protocol}.bin", pickle_protocol=protocol)


def write_refused():
    """What torch.save writes and is not a state dict in the zip form."""
    tensors = {"a": torch.ones(3)}
    torch.save(tensors, HERE / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 1, "state_dict": tensors}, HERE / "training.bin")
    torch.save(torch.ones(3), HERE / "tensor.bin")
    torch.save(torch.nn.Linear(2, 2), HERE / "module.bin")
    torch.save({"a": torch.ones(3, 3).to_sparse()}, HERE / "sparse.bin")
    torch.save({"a": torch.ones(3, dtype=torch.complex64)}, HERE / "complex.bin")
    torch.save({"a": torch.ones(3, dtype=torch.complex64).conj()}, HERE / "conjugated.bin")


if __name__ == "__main__":
    write_llava()
    write_tower()
    write_clip()
    write_tied()
    write_types()
    write_refused()
