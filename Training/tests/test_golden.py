"""The PyTorch model computes the reference's golden tensors, and the comparison notices a wrong one."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from longtake_training import paths
from longtake_training.oracles import golden


@torch.no_grad()
@pytest.mark.parametrize("case", ["case01_image_c1_llama31", "case02_image_c2_vicuna"])
def test_a_case_is_within_tolerance(case: str) -> None:
    assert golden.check_llava(case, paths.GOLDEN)


def test_a_wrong_value_a_wrong_shape_and_nan_are_faults() -> None:
    zero = torch.zeros(3)
    for found in (zero + 2e-4, torch.zeros(2), torch.full((3,), float("nan"))):
        case = golden.Case("wrong")
        case.close("value", found, zero)
        assert not case.finish()
