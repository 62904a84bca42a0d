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
