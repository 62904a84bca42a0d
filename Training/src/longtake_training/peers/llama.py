"""Prefill and decode of llama.cpp on a Llama of the 8B shape with random weights.

    python -m longtake_training.peers.llama q4_0|q8_0|bf16 [LAYERS]

Makes LAYERS (8) layers and scales their time to 32. Prints the medians of 5 runs per token as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import gguf
import llama_cpp
import numpy

WIDTH, INNER, GROUPS, SIZE, VOCABULARY = 4096, 14336, 8, 128, 128_256


def write(path: Path, name: str, layers: int) -> None:
    """A model whose layers have weights of their own, so that no cache holds them."""
    kind = gguf.GGMLQuantizationType[name.upper()]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(131_072)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(32)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500_000.0)
    writer.add_rope_dimension_count(SIZE)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    values = numpy.random.default_rng(0)
    made: dict[tuple[int, int], numpy.ndarray] = {}

    def tensor(name: str, rows: int, columns: int) -> None:
        # The same values in each layer, but stored once per layer.
        if (rows, columns) not in made:
            floats = values.standard_normal((rows, columns), dtype=numpy.float32) * 0.02
            made[rows, columns] = gguf.quants.quantize(floats, kind)
        writer.add_tensor(name, made[rows, columns], raw_dtype=kind)

    def norm(name: str) -> None:
        writer.add_tensor(name, numpy.ones(WIDTH, dtype=numpy.float32))

    tensor("token_embd.weight", VOCABULARY, WIDTH)
    tensor("output.weight", VOCABULARY, WIDTH)
    norm("output_norm.weight")
    for layer in range(layers):
        norm(f"blk.{layer}.attn_norm.weight")
        norm(f"blk.{layer}.ffn_norm.weight")
        for part, rows, columns in [
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", GROUPS * SIZE, WIDTH),
            ("attn_v", GROUPS * SIZE, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_gate", INNER, WIDTH),
            ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ]:
            tensor(f"blk.{layer}.{part}.weight", rows, columns)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def measure(path: Path) -> dict[int, float]:
    """Seconds of 512 tokens at once and of one token after them."""
    threads = len(os.sched_getaffinity(0))
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(bytes(path), parameters)
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = 8192, 512, 512
    settings.n_threads = settings.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, settings)

    def run(count: int) -> float:
        tokens = (llama_cpp.llama_token * count)(*[(i * 37) % 31_000 + 5 for i in range(count)])
        start = time.perf_counter()
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, count)) != 0:
            raise SystemExit("llama_decode failed")
        llama_cpp.llama_synchronize(context)
        return time.perf_counter() - start

    found = {}
    for count in (512, 1):
        run(count)
        found[count] = statistics.median(run(count) for _ in range(5))
    return found


def main() -> None:
    name, layers = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8
    with tempfile.TemporaryDirectory(dir="out") as folder:
        times = []
        # Two sizes give the time of a layer and of the rest.
        for count in (layers // 2, layers):
            path = Path(folder) / f"{count}.gguf"
            write(path, name, count)
            times.append(measure(path))
            path.unlink()
    scaled = {}
    for count in (512, 1):
        layer = (times[1][count] - times[0][count]) / (layers - layers // 2)
        scaled[count] = (times[1][count] + layer * (32 - layers)) / count
    peer = f"llama.cpp (llama-cpp-python {llama_cpp.__version__}) {name.upper()}"
    print(json.dumps({"peer": peer, "prefill": scaled[512], "decode": scaled[1]}))


if __name__ == "__main__":
    main()
