"""Writes this folder's adapters and what PEFT merges them to: `python write.py`, with peft, torch and safetensors.

The base models are golden cases, one in F32 and one in F16.
"""

import pathlib

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
F32, F16 = "../../golden/case08_llm/tied_tiny_embeddings", "../../golden/case08_llm/vicuna_mha"


def write(name, base_model, pickled=False, trainables=(), **settings):
    """An adapter of random weights, and the merged model's tensors that differ from the base's."""
    torch.manual_seed(1)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    base = AutoModelForCausalLM.from_pretrained(folder / base_model, dtype="auto")
    before = {key: tensor.clone() for key, tensor in base.state_dict().items()}
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **settings))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key or "modules_to_save" in key or key.endswith(tuple(trainables)):
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    model.peft_config["default"].base_model_name_or_path = base_model
    model.save_pretrained(folder)
    if pickled:
        file = folder / "adapter_model.safetensors"
        torch.save(load_file(file), folder / "adapter_model.bin")
        file.unlink()
    if trainables:
        # As LLaVA's training saves what is trained and no LoRA.
        state = {key: p.detach().clone() for key, p in model.named_parameters() if key.endswith(tuple(trainables))}
        torch.save(state, folder / "non_lora_trainables.bin")
    merged = model.merge_and_unload().state_dict()
    changed = {key: tensor for key, tensor in merged.items() if not torch.equal(tensor, before[key])}
    save_file(changed, folder / "merged.safetensors")
    (folder / "README.md").unlink(missing_ok=True)


if __name__ == "__main__":
    write("lora", F32, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    write(
        "rslora", F32, r=3, lora_alpha=5, use_rslora=True, target_modules=["o_proj", "gate_proj"],
        modules_to_save=["norm"], rank_pattern={"layers.0.self_attn.o_proj": 2},
        alpha_pattern={"layers.0.self_attn.o_proj": 7},
    )  # fmt: skip
    write("embeddings", F16, r=3, lora_alpha=6, target_modules=["o_proj", "embed_tokens"], modules_to_save=["lm_head"])
    write(
        "llava", F16, pickled=True, trainables=["model.norm.weight", "lm_head.weight"], r=2, lora_alpha=2,
        target_modules=["q_proj"],
    )  # fmt: skip
