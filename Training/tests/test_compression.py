"""The stage `compression` moves the compressor's attention and leaves the rest as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from longtake_training.model.llava_mini import FusionConfig, LanguageConfig, LlavaMini
from longtake_training.model.tokenizer import Tokenizer, build
from longtake_training.train import compression, progress
from longtake_training.world.image_pool import Pool


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """Images of which only the labels count: a thing on 4 of 36 patches."""
    # A compressor with random weights has further to go than a trained one.
    monkeypatch.setattr(compression, "WEIGHT", 1.0)
    monkeypatch.setattr(compression, "HELD_OUT", 250)
    count = 64 + compression.HELD_OUT
    labels = torch.zeros(count, 36, 2, dtype=torch.int64)
    for row, start in zip(labels, torch.randint(0, 33, (count,), generator=torch.manual_seed(3)), strict=True):
        row[start : start + 4] = 1
    nothing = torch.zeros(count, dtype=torch.int64)
    return Pool(torch.zeros(count, 1), torch.zeros(count, 3, 2), labels, nothing, nothing)


def test_the_attention_moves_to_the_things(pool: Pool, tmp_path: Path) -> None:
    tokenizer = Tokenizer(build(["What appears first?", "a red circle"], 400))
    torch.manual_seed(1)
    llava = LlavaMini(LanguageConfig(tokenizer.vocab_size, width=48, layers=1, mlp=64), FusionConfig())
    shown = pool.patches[..., 0] > 0
    patches = torch.randn(len(pool), 36, 128)
    patches[..., :16] += 3 * shown[..., None]
    before = {name: value.clone() for name, value in llava.state_dict().items()}
    log = progress.Log(tmp_path / "log.jsonl")
    result = compression.run(llava, pool, patches, tokenizer, 40, tmp_path / "compression.pt", log)
    assert result["area"] == pytest.approx(4 / 36)
    assert result["ratio"] > 3
    changed = {name for name, value in llava.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("model.compressor.") for name in changed)


@torch.no_grad()
def test_scores_are_those_of_the_compression() -> None:
    torch.manual_seed(1)
    compressor = LlavaMini(LanguageConfig(300, width=48, layers=1, mlp=64), FusionConfig()).model.compressor
    patches = torch.randn(2, 36, 128)
    weights = compressor.scores(patches).softmax(-1)
    value = compressor.attn.part(compressor.ln_kv(patches), 2)
    mixed = (weights @ value).transpose(1, 2).reshape(2, 1, 128)
    assert torch.allclose(compressor.attn.out_proj(mixed), compressor(patches), atol=1e-5)
