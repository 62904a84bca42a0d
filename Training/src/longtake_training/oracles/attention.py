"""Writes the shares of attention that `longtake inspect attention` must print for the golden flows.

    python -m longtake_training.oracles.attention [--out FILE]

The attention weights are those of transformers' own models: `LlamaForCausalLM` over the reference's `inputs_embeds` of
case11_end_to_end (LLaVA-Mini), `LlavaForConditionalGeneration` over Tests/Fixtures/llava (LLaVA-v1.5); all rows of a
prompt and its answer at once. Runs once, with torch 2.15 and transformers 5.13: the file is committed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from longtake_training import arguments, paths

PLACEHOLDER = -200
CASE = paths.GOLDEN / "case11_end_to_end"
LLAVA = paths.GOLDEN.parent / "llava"
TOLERANCE = 1e-4
"""Of logits and of what else the fixtures have, to see that these are the same models."""
MINI_FLOWS = ["llama31.image_pad", "llama31.video", "vicuna.image_pad", "vicuna.video"]
LLAVA_FLOWS = ["hf.image", "hf.video", "original.image", "original.video"]
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


def shares(weights: Tensor, rows: range, vision: range, prompt: int) -> dict[str, float]:
    """Means over heads and rows of the weights [heads, rows, keys] of one layer."""
    picked = weights[:, rows.start : rows.stop].double()
    looked = picked[..., vision.start : vision.stop]
    even = looked / looked.sum(-1, keepdim=True)
    entropy = -(even * even.log2()).nan_to_num().sum(-1)
    on_vision = looked.sum(-1)
    on_answer = picked[..., prompt:].sum(-1)
    parts = {
        "vision": on_vision,
        "instruction": picked.sum(-1) - on_vision - on_answer,
        "answer": on_answer,
        "vision_entropy_bits": entropy,
    }
    return {name: round(value.mean().item(), 8) for name, value in parts.items()}


def describe(attentions: tuple[Tensor, ...], vision: range, prompt: int, answer: int) -> dict:
    """The report's numbers for a prompt of `prompt` rows and an answer of `answer` rows."""
    layers = [
        {
            "instruction_rows": shares(layer[0], range(vision.stop, prompt), vision, prompt),
            "answer_rows": shares(layer[0], range(prompt, prompt + answer), vision, prompt),
        }
        for layer in attentions
    ]
    return {
        "vision_tokens": len(vision),
        "instruction_rows": prompt - vision.stop,
        "answer_rows": answer,
        "layers": layers,
    }


def near(name: str, found: Tensor, wanted: Tensor) -> None:
    off = (found - wanted).abs().max().item()
    assert off <= TOLERANCE, f"{name}: {off:.2e}"


def llama(folder: Path):
    """The language model of a LLaVA-Mini folder, in transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = json.loads((folder / "config.json").read_text())
    config = LlamaConfig.from_dict({**config, "model_type": "llama"}, attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    values = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    missing, _ = model.load_state_dict({n: v for n, v in values.items() if n in model.state_dict()}, strict=False)
    assert not missing, missing
    return model


@torch.no_grad()
def mini() -> dict[str, dict]:
    inputs, expected = load_file(CASE / "inputs.safetensors"), load_file(CASE / "expected.safetensors")
    flows = json.loads((CASE / "case.json").read_text())["flows"]
    found = {}
    for name in MINI_FLOWS:
        model = llama(CASE / flows[name]["model"])
        rows, ids = expected[f"{name}.inputs_embeds"], inputs[f"{name}.input_ids"][0].tolist()
        first, prompt = ids.index(PLACEHOLDER), rows.shape[1]
        vision = range(first, first + prompt - len(ids) + 1)
        answer = expected[f"{name}.greedy_ids"]
        rows = torch.cat([rows, model.get_input_embeddings()(answer)[None]], dim=1)
        out = model(inputs_embeds=rows, output_attentions=True)
        near(name, out.logits[:, prompt - 1], expected[f"{name}.logits_last"])
        assert out.logits[0, prompt - 1 : -1].argmax(-1).tolist() == answer.tolist()
        found[name] = describe(out.attentions, vision, prompt, len(answer))
    return found


@torch.no_grad()
def llava() -> dict[str, dict]:
    from transformers import LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(
        LLAVA / "hf", dtype=torch.float32, attn_implementation="eager"
    ).eval()
    image_token = model.config.image_token_index
    inputs, expected = load_file(LLAVA / "inputs.safetensors"), load_file(LLAVA / "expected.safetensors")
    found = {}
    for name in LLAVA_FLOWS:
        pixels = (expected[f"{name}.images_uint8_hwc"].float() / 255 - MEAN) / STD
        tokens = expected[f"{name}.compressed_per_frame"].flatten(0, 1).shape[0]
        ids, answer = inputs[f"{name}.input_ids"][0].tolist(), expected[f"{name}.greedy_ids"]
        first = ids.index(PLACEHOLDER)
        whole = ids[:first] + [image_token] * tokens + ids[first + 1 :]
        prompt = len(whole)
        out = model(
            input_ids=torch.tensor([whole + answer.tolist()]),
            pixel_values=pixels.permute(0, 3, 1, 2),
            output_attentions=True,
        )
        near(name, out.logits[:, prompt - 1], expected[f"{name}.logits_last"])
        assert out.logits[0, prompt - 1 : -1].argmax(-1).tolist() == answer.tolist()
        found[name] = describe(out.attentions, range(first, first + tokens), prompt, len(answer))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m longtake_training.oracles.attention", description=__doc__)
    parser.add_argument("--out", type=Path, default=paths.GOLDEN.parent / "attention/shares.json")
    out = parser.parse_args().out
    arguments.require(parser, "transformers", arguments.TRANSFORMERS)
    torch.set_num_threads(1)
    flows = mini() | llava()
    out.parent.mkdir(parents=True, exist_ok=True)
    case = {"made_with": "python -m longtake_training.oracles.attention", "flows": flows}
    out.write_text(json.dumps(case, indent=1) + "\n")
    print(f"{len(flows)} flows, {sum(len(flow['layers']) for flow in flows.values())} layers in {out}")


if __name__ == "__main__":
    main()
