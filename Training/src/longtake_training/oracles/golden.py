"""Compares the PyTorch model with the golden tensors of the reference implementation.

    python -m longtake_training.oracles.golden [--golden DIR]

Prints a line per case. Exit status 1: a value is outside the tolerance.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake_training import arguments, paths
from longtake_training.model.clip import ClipModel, TextConfig, VisionConfig, VisionTower
from longtake_training.model.llava_mini import (
    PLACEHOLDER,
    FusionConfig,
    LanguageConfig,
    LlavaMini,
    rope_frequencies,
    rope_tables,
)

TOLERANCE = 1e-4
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


class Case:
    """The comparisons of one case."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.worst, self.where, self.count = 0.0, "", 0
        self.faults: list[str] = []

    def close(self, name: str, found: Tensor, wanted: Tensor) -> None:
        self.count += 1
        if found.shape != wanted.shape:
            self.faults.append(f"{name}: shape {tuple(found.shape)} instead of {tuple(wanted.shape)}")
            return
        off = (found - wanted).abs().max().item()
        if not off <= TOLERANCE:
            self.faults.append(f"{name}: {off:.2e}")
        if off > self.worst:
            self.worst, self.where = off, name

    def same(self, name: str, found: list[int], wanted: Tensor) -> None:
        self.count += 1
        if found != wanted.flatten().tolist():
            self.faults.append(f"{name}: {found} instead of {wanted.tolist()}")

    def finish(self) -> bool:
        result = "pass" if not self.faults else "FAIL"
        print(f"{self.name:28} {self.count:4} values {self.worst:9.2e} {result}  worst: {self.where}")
        for fault in self.faults:
            print("    " + fault)
        return not self.faults


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def weights(path: Path) -> dict[str, Tensor]:
    return {name: value.float() for name, value in load_file(path).items() if not name.endswith("position_ids")}


def load(module: nn.Module, values: dict[str, Tensor], partial: bool = False) -> None:
    missing, unknown = module.load_state_dict(values, strict=False)
    if unknown or (missing and not partial):
        raise SystemExit(f"missing tensors {missing[:4]}, unknown tensors {unknown[:4]}")
    module.eval()


def load_tower(folder: Path, select_layer: int) -> VisionTower:
    tower = VisionTower(VisionConfig.from_hf(read(folder, "config.json")), select_layer)
    load(tower, weights(folder / "model.safetensors"))
    return tower


def load_llava(folder: Path) -> tuple[LlavaMini, VisionTower]:
    config = read(folder, "config.json")
    fusion = FusionConfig.from_hf(config)
    model = LlavaMini(LanguageConfig.from_hf(config), fusion)
    load(model, weights(folder / "model.safetensors"))
    return model, load_tower(folder / config["mm_vision_tower"], fusion.select_layer)


def prompts(tensors: dict[str, Tensor]) -> list[str]:
    """The prefixes of a case's prompts, "" for the first."""
    return sorted(name.removesuffix("input_ids") for name in tensors if name.endswith("input_ids"))


def check_llava(name: str, golden: Path) -> bool:
    case, folder = Case(name), golden / name
    model, tower = load_llava(folder)
    inputs, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "expected.safetensors")
    pixels = inputs["images"].flatten(0, -4)
    stops = read(folder, "case.json").get("stop_test", {}).get("eos_token_id", [])
    patches = tower(pixels)
    patch_rows, compressed_rows = model.project(patches)
    for prefix in prompts(inputs):
        ids = inputs[prefix + "input_ids"][0].tolist()
        if PLACEHOLDER not in ids:
            continue
        visual, text = model.fuse(patches, ids)
        rows = model.assemble(visual, text, ids)
        found = {
            "clip_features": patches[:, None],
            "compressor_out": model.model.compressor(patches),
            "projected_compressed": compressed_rows,
            "projected_global": patch_rows,
            "compressed_per_frame": visual,
            "fused_text_per_frame": text,
            "fused_text_mean": text.mean(dim=0),
            "inputs_embeds": rows,
        }
        hidden = model.decode(rows, torch.arange(rows.shape[1])[None])
        found["logits"] = model.logits(hidden)
        found["logits_last"] = found["logits"][:, -1]
        for key, value in found.items():
            if prefix + key in expected:
                case.close(prefix + key, value, expected[prefix + key])
        if prefix + "greedy_ids" in expected:
            wanted = expected[prefix + "greedy_ids"]
            answer, last = model.answer(pixels, tower, ids, [], len(wanted))
            case.same(prefix + "greedy_ids", answer, wanted)
            case.close(prefix + "answer's logits", last[None], expected[prefix + "logits_last"])
        if not prefix and "stop.greedy_ids" in expected:
            answer, _ = model.answer(pixels, tower, ids, stops, 64)
            case.same("stop.greedy_ids", answer, expected["stop.greedy_ids"])
        if "fused_text_per_frame" in expected and not prefix:
            check_packed(case, model, patch_rows, compressed_rows, ids, expected)
    return case.finish()


def check_packed(
    case: Case,
    model: LlavaMini,
    patch_rows: Tensor,
    compressed_rows: Tensor,
    ids: list[int],
    expected: dict[str, Tensor],
) -> None:
    """The prompt twice behind one frame, invisible to each other, by positions and a bias."""
    seen = [index for index, token in enumerate(ids) if token > 0]
    text = model.embed(torch.tensor(ids))[seen]
    frames, length = len(patch_rows), len(seen)
    visual = patch_rows.shape[1] + compressed_rows.shape[1]
    positions = (visual + torch.arange(length)).repeat(2)[None]
    triangle = torch.full((length, length), float("-inf")).triu(1)
    none = torch.full((length, length), float("-inf"))
    own = torch.cat([torch.cat([triangle, none], 1), torch.cat([none, triangle], 1)])
    bias = torch.cat([torch.zeros(2 * length, visual), own], dim=1)[None, None]
    both = torch.cat([text, text])[None].expand(frames, -1, -1)
    compressed, fused = model.prefuse(patch_rows, compressed_rows, both, positions, bias)
    wanted = expected["fused_text_per_frame"][:, seen]
    case.close("packed compressed", compressed, expected["compressed_per_frame"])
    case.close("packed text", fused, torch.cat([wanted, wanted], dim=1))


def check_clip(golden: Path) -> bool:
    case, folder = Case("case07_clip"), golden / "case07_clip"
    inputs, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "expected.safetensors")
    about = read(folder, "case.json")
    for name, entry in about["vision_models"].items():
        tower = load_tower(folder / entry["path"], -2)
        patches, pooled = tower(inputs[name + ".pixel_values"], pooled=True)
        case.close(name + ".selected", patches, expected[name + ".selected"])
        case.close(name + ".pooler_output", pooled, expected[name + ".pooler_output"])
        case.close(name + ".selected alone", tower(inputs[name + ".pixel_values"]), expected[name + ".selected"])
    for name in ("clipmodel_legacy_eos2", "clipmodel_eos_last"):
        config = read(folder / name, "config.json")
        text_config = {"eos_token_id": about[name]["eos_token_id"]} | config["text_config"]
        clip = ClipModel(VisionConfig.from_hf(config), TextConfig.from_hf(text_config), config["projection_dim"])
        load(clip, weights(folder / name / "model.safetensors"))
        images = clip.image_embedding(inputs[name + ".pixel_values"])
        texts = clip.text_embedding(inputs[name + ".input_ids"])
        case.close(name + ".image", images, expected[name + ".image_features_projected"])
        case.close(name + ".text", texts, expected[name + ".text_features_projected"])
        images, texts = nn.functional.normalize(images, dim=-1), nn.functional.normalize(texts, dim=-1)
        logits = clip.logit_scale.exp() * images @ texts.T
        case.close(name + ".logits_per_image", logits, expected[name + ".logits_per_image"])
    return case.finish()


def check_language(golden: Path) -> bool:
    case, folder = Case("case08_llm"), golden / "case08_llm"
    inputs, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "expected.safetensors")
    for name, entry in read(folder, "case.json")["models"].items():
        config = LanguageConfig.from_hf(json.loads((folder / entry["config"]).read_text()))
        model = LlavaMini(config, FusionConfig(prefusion_layers=0, compressor_width=16))
        values = weights(folder / entry["weights"])
        load(model, values, partial=True)
        case.close(name + ".inv_freq", rope_frequencies(config), expected[name + ".inv_freq"])
        short, long = inputs[name + ".prompt40"], inputs[name + ".prompt200"]
        hidden = model.decode(model.embed(short), torch.arange(40)[None])
        case.close(name + ".hidden40", hidden[0], expected[name + ".hidden40"][-1])
        case.close(name + ".logits40", model.logits(hidden), expected[name + ".logits40"])
        hidden = model.decode(model.embed(long), torch.arange(200)[None])[0, entry["positions_of_200"]]
        case.close(name + ".logits200_at", model.logits(hidden), expected[name + ".logits200_at"])
        key = name + ".greedy_ids_from_prompt40"
        if key in expected:
            answer, _ = model.generate(model.embed(short), [], len(expected[key]))
            case.same(key, answer, expected[key])
    full = {"full_llama31_8b": "llama31_scaled_8192", "full_vicuna_7b": "vicuna_mha"}
    positions = torch.tensor(read(folder, "case.json")["full_rope_positions"])
    for name, like in full.items():
        config = LanguageConfig.from_hf(read(folder / like, "config.json"))
        config.width, config.heads = 4096, 32
        cos, sin = rope_tables(config, positions)
        case.close(name + ".cos", cos, expected[name + ".cos"])
        case.close(name + ".sin", sin, expected[name + ".sin"])
    return case.finish()


def check_end_to_end(golden: Path) -> bool:
    """From resized pictures and ids to answers, standard resolution only."""
    case, folder = Case("case11_end_to_end"), golden / "case11_end_to_end"
    inputs, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "expected.safetensors")
    models: dict[str, tuple[LlavaMini, VisionTower]] = {}
    for flow, entry in read(folder, "case.json")["flows"].items():
        if "hires" in flow:
            continue
        pictures = expected[flow + ".images_uint8_hwc"].flatten(0, -4).float() / 255
        pixels = ((pictures - MEAN) / STD).permute(0, 3, 1, 2).contiguous()
        name = entry["model"]
        if name not in models:
            models[name] = load_llava(folder / name)
        model, tower = models[name]
        ids = inputs[flow + ".input_ids"][0].tolist()
        visual, text = model.fuse(tower(pixels), ids)
        case.close(flow + ".compressed_per_frame", visual, expected[flow + ".compressed_per_frame"])
        case.close(flow + ".fused_text_mean", text.mean(dim=0), expected[flow + ".fused_text_mean"])
        wanted = expected[flow + ".greedy_ids"]
        answer, last = model.answer(pixels, tower, ids, [], len(wanted))
        case.same(flow + ".greedy_ids", answer, wanted)
        case.close(flow + ".logits_last", last[None], expected[flow + ".logits_last"])
    return case.finish()


@torch.no_grad()
def main() -> None:
    parser = arguments.parser("oracles.golden", __doc__)
    parser.add_argument("--golden", type=Path, default=paths.GOLDEN, help="folder of the golden cases")
    golden = parser.parse_args().golden
    torch.set_num_threads(1)
    results = [
        check_llava(name, golden)
        for name in (
            "case01_image_c1_llama31",
            "case02_image_c2_vicuna",
            "case03_video_c1_llama31",
            "case06_prompt_quirks",
        )
    ]
    results += [check_clip(golden), check_language(golden), check_end_to_end(golden)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
