"""Writes the LLaVA-v1.5 cases of Tests/Fixtures/llava with transformers' own model.

    python -m longtake_training.oracles.llava [--out DIR]

`hf` is a small random `LlavaForConditionalGeneration` as transformers saves it, with prompt, logits and greedy IDs;
`original` has the same weights under the names of the original code. `case.json` describes flows from a picture or
frames and a question to the text, for both. Runs once, with torch 2.15 and transformers 5.13: the files are committed.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from longtake_training import arguments, paths

SEED = 20_260_106
PLACEHOLDER = -200
SIDE, PATCH = 56, 14
TOKENS = (SIDE // PATCH) ** 2
TOKENIZER = paths.GOLDEN / "case09_tokenizer_spm_llama2"
END_TO_END = paths.GOLDEN / "case11_end_to_end"
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
REFERENCE_SAMPLE = [0, 1, 2, 2, 3]
"""The frames that LLaVA-Mini's reference takes of five, one per second (docs/model.md, section 10)."""
GREEDY = 8
MARGIN = 0.01
"""Least gap between the two best logits of a greedy step: rounding must not decide."""
VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": SIDE,
    "patch_size": PATCH,
    "projection_dim": 32,
}
TEXT = {
    "model_type": "llama",
    "hidden_size": 48,
    "intermediate_size": 112,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 1216,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
PREPROCESSOR = {
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": SIDE},
}


def make_model(image_token: int):
    """A model whose logits are about as large as a trained one's, its weights exact in 16 bits."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(
        vision_config=dict(VISION), text_config=dict(TEXT), image_token_index=image_token, image_seq_length=TOKENS
    )
    torch.manual_seed(SEED)
    model = LlavaForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("norm.weight") or "layernorm.weight" in name or "layer_norm" in name or "layrnorm" in name:
                centre = 0.0 if name.endswith("bias") else 1.0
                value.copy_(centre + 0.1 * torch.randn_like(value))
            elif value.dim() == 1:
                value.copy_(0.1 * torch.randn_like(value))
            elif "embed" in name:
                value.copy_(0.5 * torch.randn_like(value))
            else:
                fan_in = value[0].numel()
                value.copy_(1.2 * torch.randn_like(value) / fan_in**0.5)
            value.copy_(value.half().float())
    return model


def forward(model, ids: list[int], pixels: Tensor, image_token: int, **options):
    """Runs the model on IDs whose placeholder stands for all images."""
    count = len(pixels) * TOKENS
    expanded = [one for token in ids for one in ([image_token] * count if token == PLACEHOLDER else [token])]
    return model(input_ids=torch.tensor([expanded]), pixel_values=pixels, **options)


@torch.no_grad()
def greedy(model, ids: list[int], pixels: Tensor, image_token: int) -> tuple[list[int], Tensor]:
    """The first IDs of the answer, all positions computed again for each, and their logits."""
    found, steps = [], []
    for _ in range(GREEDY):
        logits = forward(model, ids + found, pixels, image_token).logits[0, -1]
        best = logits.topk(2).values
        assert best[0] - best[1] > MARGIN, f"step {len(found)}: a margin of {best[0] - best[1]:.4f}"
        found.append(int(logits.argmax()))
        steps.append(logits)
    return found, torch.stack(steps)


@torch.no_grad()
def stages(model, ids: list[int], pixels: Tensor, image_token: int) -> dict[str, Tensor]:
    """The intermediate values that a parity case compares, for one image."""
    tower = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    features = tower[-2][:, 1:]  # [1, P, D]
    tokens = model.model.multi_modal_projector(features)  # [1, P, H]
    out = forward(model, ids, pixels, image_token, output_hidden_states=True)
    answer, steps = greedy(model, ids, pixels, image_token)
    return {
        "clip_features": features[:, None],
        "projected_global": tokens,
        "compressed_per_frame": tokens,
        "inputs_embeds": out.hidden_states[0],
        "llm_hidden_states": torch.cat(out.hidden_states),
        "logits": out.logits,
        "logits_last": out.logits[:, -1],
        "greedy_ids": torch.tensor(answer),
        "greedy_step_logits": steps,
    }


def original_name(name: str) -> str:
    """The name of a tensor in the original code; the tower's are those of a CLIP folder."""
    for new, old in [
        ("model.language_model.", "model."),
        ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
        ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
        ("model.vision_tower.", "vision_model."),
    ]:
        if name.startswith(new):
            return old + name.removeprefix(new)
    return name


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_hf(folder: Path, model, tokenizer) -> None:
    """The folder as transformers saves it; the picture settings in the file of the whole processor."""
    # A copy: `half` would also round the rotary frequencies, which no file has.
    copy.deepcopy(model).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = {"image_processor": PREPROCESSOR, "image_token": "<image>", "processor_class": "LlavaProcessor"}
    write_json(folder / "processor_config.json", processor)


def write_original(folder: Path, model) -> None:
    """The same weights in the layout of the original code, with the vision tower in a folder of its own."""
    weights = {original_name(name): value.half().contiguous() for name, value in model.state_dict().items()}
    tower = folder / "tower"
    tower.mkdir(parents=True)
    own = {name: value for name, value in weights.items() if not name.startswith("vision_model.")}
    save_file(own, folder / "model.safetensors", {"format": "pt"})
    inside = {name: value for name, value in weights.items() if name not in own}
    save_file(inside, tower / "model.safetensors", {"format": "pt"})
    write_json(tower / "config.json", {**VISION, "hidden_act": "quick_gelu", "architectures": ["CLIPVisionModel"]})
    write_json(tower / "preprocessor_config.json", PREPROCESSOR)
    config = {
        **TEXT,
        "model_type": "llava_llama",
        "architectures": ["LlavaLlamaForCausalLM"],
        "hidden_act": "silu",
        "image_aspect_ratio": "pad",
        "mm_hidden_size": VISION["hidden_size"],
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "tower",
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "use_mm_proj": True,
    }
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})
    for name in ["tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"]:
        shutil.copyfile(TOKENIZER / name, folder / name)


def padded(image: Image.Image) -> Image.Image:
    """The image in the middle of a square of the mean color (`expand2square` of the original code)."""
    width, height = image.size
    side = max(width, height)
    square = Image.new("RGB", (side, side), tuple(int(255 * value) for value in PREPROCESSOR["image_mean"]))
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


class Flows:
    """Flows from a picture or frames and a question to the text."""

    def __init__(self, model, tokenizer, image_token: int) -> None:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        self.model, self.tokenizer, self.image_token = model, tokenizer, image_token
        options = {key: value for key, value in PREPROCESSOR.items() if key != "image_processor_type"}
        self.processor = CLIPImageProcessorPil(**options)
        self.inputs: dict[str, Tensor] = {}
        self.expected: dict[str, Tensor] = {}
        self.flows: dict[str, dict] = {}

    def pixels(self, images: list[Image.Image]) -> tuple[Tensor, Tensor]:
        """The tower's input, and the same images in 8 bits."""
        values = self.processor(images, return_tensors="pt").pixel_values
        bytes_ = [self.processor(i, return_tensors="np", do_rescale=False, do_normalize=False) for i in images]
        return values, torch.from_numpy(np.stack([one.pixel_values[0] for one in bytes_])).permute(0, 2, 3, 1)

    def prompt(self, question: str, images: int) -> list[int]:
        """The IDs that transformers' processor makes, the image tokens as one placeholder."""
        text = f"{SYSTEM} USER: {'<image>' * TOKENS * images}\n{question} ASSISTANT:"
        ids = self.tokenizer(text).input_ids
        assert ids.count(self.image_token) == TOKENS * images
        first = ids.index(self.image_token)
        return ids[:first] + [PLACEHOLDER] + ids[first + TOKENS * images :]

    def add(self, name: str, folder: str, question: str, source: str, images: list[Image.Image], kind: str) -> None:
        ids = self.prompt(question, len(images))
        values, bytes_ = self.pixels(images)
        with torch.no_grad():
            out = forward(self.model, ids, values, self.image_token)
            features = self.model.model.vision_tower(values, output_hidden_states=True).hidden_states[-2][:, 1:]
            tokens = self.model.model.multi_modal_projector(features)
        answer, _ = greedy(self.model, ids, values, self.image_token)
        self.inputs[f"{name}.input_ids"] = torch.tensor([ids])
        self.expected |= {
            f"{name}.images_uint8_hwc": bytes_.to(torch.uint8).contiguous(),
            f"{name}.compressed_per_frame": tokens,
            f"{name}.logits_last": out.logits[:, -1],
            f"{name}.greedy_ids": torch.tensor(answer),
        }
        text = self.tokenizer.decode(answer, skip_special_tokens=True).strip()
        self.flows[name] = {
            "model": folder,
            "tokenizer": folder,
            "conv_mode": "vicuna_v1",
            "kind": kind,
            "question": question,
            "source": source,
            "expected_text": text,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m longtake_training.oracles.llava", description=__doc__)
    parser.add_argument("--out", type=Path, default=paths.GOLDEN.parent / "llava")
    out = parser.parse_args().out
    arguments.require(parser, "transformers", arguments.TRANSFORMERS)
    from transformers import PreTrainedTokenizerFast

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.set_num_threads(1)

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(TOKENIZER / "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    model = make_model(image_token)
    write_hf(out / "hf", model, tokenizer)
    write_original(out / "original", model)

    flows = Flows(model, tokenizer, image_token)
    a, b = (Image.open(END_TO_END / "png" / f"{name}.png").convert("RGB") for name in "ab")
    folder = "../golden/case11_end_to_end/png/"
    flows.add("hf.image", "hf", "Describe it! 第一帧里有什么？", folder + "a.png", [a], "image")
    flows.add("original.image", "original", "What is on the table?", folder + "b.png", [padded(b)], "image")
    # What the reference's own tokenizer made of this question.
    reference = load_file(END_TO_END / "inputs.safetensors")["vicuna.image_pad.input_ids"]
    assert flows.inputs["original.image.input_ids"].tolist() == reference.tolist()
    frames = load_file(END_TO_END / "inputs.safetensors")["video.frames_uint8"][::9].contiguous()
    images = [Image.fromarray(frames[index].numpy()) for index in REFERENCE_SAMPLE]
    flows.inputs["video.frames_uint8"] = frames
    flows.add("hf.video", "hf", "What happens?", "video.frames_uint8", images, "video")
    flows.add("original.video", "original", "And now?", "video.frames_uint8", [padded(i) for i in images], "video")
    save_file(flows.inputs, out / "inputs.safetensors")
    save_file(flows.expected, out / "expected.safetensors")
    case = {
        "case": "llava",
        "flows": flows.flows,
        "video_fps": 1.0,
        "video_frame_indices": REFERENCE_SAMPLE,
        "made_with": "python -m longtake_training.oracles.llava",
    }
    write_json(out / "case.json", case)

    ids = flows.prompt("What is on the table?", 1)
    first = ids.index(PLACEHOLDER)
    short = ids[:1] + ids[first - 4 : first + 8]
    values, _ = flows.pixels([a])
    expected = {name: value.contiguous() for name, value in stages(model, short, values, image_token).items()}
    for layout in ["hf", "original"]:
        save_file({"input_ids": torch.tensor([short]), "images": values[None]}, out / layout / "inputs.safetensors")
        save_file({name: value.clone() for name, value in expected.items()}, out / layout / "expected.safetensors")
    files = [path for path in out.rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)
    total = sum(path.stat().st_size for path in files)
    print(f"{total / 1e6:.2f} MB in {out}; answers: {[flow['expected_text'] for flow in flows.flows.values()]}")


if __name__ == "__main__":
    main()
