"""A written checkpoint is what the model reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")
pytest.importorskip("safetensors")

from longtake_training.model.checkpoint import export, load
from longtake_training.model.clip import ClipModel, TextConfig, VisionConfig
from longtake_training.model.llava_mini import FusionConfig, LanguageConfig, LlavaMini
from longtake_training.model.tokenizer import ClipTokenizer, Tokenizer, build, build_clip

TEXTS = ["What appears first?", "a red circle", "a red circle on the left", "What appears last?"]


@pytest.fixture
def models() -> tuple[LlavaMini, ClipModel, Tokenizer, ClipTokenizer]:
    torch.manual_seed(1)
    tokenizer, clip_tokenizer = Tokenizer(build(TEXTS, 400)), ClipTokenizer(build_clip(TEXTS, 600))
    text = TextConfig(clip_tokenizer.vocab_size, layers=1, eos_id=clip_tokenizer.end_id, context=clip_tokenizer.context)
    clip = ClipModel(VisionConfig(layers=2), text)
    llava = LlavaMini(LanguageConfig(tokenizer.vocab_size, layers=1), FusionConfig(prefusion_layers=1))
    return llava.eval(), clip.eval(), tokenizer, clip_tokenizer


@torch.no_grad()
def test_a_model_is_read_back_as_it_was_written(models, tmp_path: Path) -> None:
    llava, clip, tokenizer, clip_tokenizer = models
    more = {"config.json": {"longtake_evidence": {"heads": [[1, 0]], "found": 0.5}}}
    export(tmp_path, clip, llava, tokenizer.files, clip_tokenizer.files, "a note", more, torch.float32)
    llava_again, clip_again = load(tmp_path)
    for model, again in ((llava, llava_again), (clip, clip_again)):
        assert model.state_dict().keys() == again.state_dict().keys()
        assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())

    pixels = torch.randn(2, 3, 84, 84)
    ids = tokenizer.prompt_ids(TEXTS[0])
    answers = [
        m.answer(pixels, c.tower(m.fusion.select_layer), ids, tokenizer.stop_ids, 4)
        for m, c in ((llava, clip), (llava_again, clip_again))
    ]
    assert answers[0][0] == answers[1][0]
    assert torch.equal(answers[0][1], answers[1][1])

    config = json.loads((tmp_path / "config.json").read_text())
    assert config["longtake_evidence"] == more["config.json"]["longtake_evidence"]
    assert (tmp_path / config["mm_vision_tower"] / "model.safetensors").exists()


def test_bfloat16_rounds_all_weights_but_the_logit_scale(models, tmp_path: Path) -> None:
    llava, clip, tokenizer, clip_tokenizer = models
    export(tmp_path, clip, llava, tokenizer.files, clip_tokenizer.files, "")
    llava_again, clip_again = load(tmp_path)
    weight = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(llava_again.state_dict()[weight], llava.state_dict()[weight].bfloat16().float())
    assert torch.equal(clip_again.logit_scale, clip.logit_scale)


def test_a_tokenizer_of_another_size_is_refused(models, tmp_path: Path) -> None:
    llava, clip, _, clip_tokenizer = models
    with pytest.raises(ValueError, match="tokens for a model of"):
        export(tmp_path, clip, llava, build([*TEXTS, "a board, a board"], 400), clip_tokenizer.files, "")
