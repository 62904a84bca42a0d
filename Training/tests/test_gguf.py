"""Rows of GGUF's query and key projections come back in transformers' order."""

from __future__ import annotations

import numpy as np
import pytest

from longtake_training.model import gguf


def test_halves_inverts_interleaved() -> None:
    weights = np.arange(3 * 8 * 5, dtype=np.float32).reshape(24, 5)
    packed = gguf.interleaved(weights, 3)
    # The first head: rows 0 and 4, 1 and 5, 2 and 6, 3 and 7.
    assert packed[:8, 0].tolist() == [5 * row for row in (0, 4, 1, 5, 2, 6, 3, 7)]
    assert np.array_equal(gguf.halves(packed, 3), weights)


def test_names() -> None:
    assert gguf.hugging_face_name("blk.3.attn_q.weight") == "model.layers.3.self_attn.q_proj.weight"
    assert gguf.hugging_face_name("output_norm.weight") == "model.norm.weight"
    with pytest.raises(ValueError, match="not a tensor of a Llama"):
        gguf.hugging_face_name("blk.3.ssm_in.weight.x")
    with pytest.raises(ValueError, match="not a tensor of a Llama"):
        gguf.hugging_face_name("blk.3.ssm_in.weight")


def test_int4_groups() -> None:
    from longtake_training.measure.perplexity import quantized

    random = np.random.default_rng(1)
    # Weights on a grid of 16 levels per group, with both ends used, lose nothing.
    grid = random.integers(-3, 13, (4, 70)).astype(np.float32)
    grid[:, ::32], grid[:, 1::32] = -3, 12
    assert np.allclose(quantized(grid, 32), grid, atol=1e-6)
    weights = random.standard_normal((4, 70)).astype(np.float32)
    errors = [float(((quantized(weights, group) - weights) ** 2).mean()) for group in (16, 32, 64)]
    assert errors[0] < errors[1] < errors[2] < 0.02
    assert not quantized(np.zeros((2, 8), np.float32), 4).any()


def test_reordered_llama_computes_the_same() -> None:
    from longtake_training.measure.perplexity import permuted

    config = {
        "hidden_size": 12,
        "intermediate_size": 10,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 3,
    }
    shapes = {"q": (12, 12), "k": (6, 12), "v": (6, 12), "o": (12, 12)}
    shapes |= {"gate": (10, 12), "up": (10, 12), "down": (12, 10)}
    random = np.random.default_rng(2)
    names = {part: f"model.layers.0.{'self_attn' if part in 'qkvo' else 'mlp'}.{part}_proj.weight" for part in shapes}
    weights = {names[part]: random.standard_normal(shape) for part, shape in shapes.items()}
    weights["model.embed_tokens.weight"] = random.standard_normal((7, 12))
    weights["model.norm.weight"] = random.standard_normal(12)

    def results(weights: dict[str, np.ndarray]) -> list[np.ndarray]:
        x = weights["model.embed_tokens.weight"] * weights["model.norm.weight"]
        q, k, v, gate, up = (x @ weights[names[part]].T for part in ("q", "k", "v", "gate", "up"))
        # Each of two query heads takes its KV head's values.
        values = np.concatenate([v[:, 3 * (head // 2) : 3 * (head // 2) + 3] for head in range(4)], 1)
        attention = values @ weights[names["o"]].T
        mlp = (gate * up) @ weights[names["down"]].T
        return [q, k, *((part * x).sum(1) for part in (attention, mlp))]

    other = permuted(weights, config)
    for before, after in zip(results(weights), results(other), strict=True):
        assert np.allclose(before, after)
    assert all(not np.array_equal(weights[name], other[name]) for name in weights)
