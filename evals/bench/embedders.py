"""The model that ships, by both of its runtimes on this processor, in turn on the same texts."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from antiphon.evals.bench.collection import read
from antiphon.evals.bench.report import report
from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.models.embeddings import TOKENIZER, Encoder, MiniLM, packaged
from antiphon.tools.models.torch_encoders import load_packaged

TEXTS = 64
ROUNDS = 3
SHORT = 200
"""Characters of a short text: about a question with its answer."""
READ = 256
"""Tokens of a text that are read, as the model's card says."""


async def run(data: Path, *, limit: int | None = None) -> dict[str, object]:
    """Embed `limit` documents (64) of a BEIR folder, whole and cut short, by either runtime.

    Raises:
        ModelUnavailable: PyTorch is there, but not the model.
    """
    began = time.perf_counter()
    documents = [one.searchable for one in read(data).documents][: limit or TEXTS]
    onnx = MiniLM(tokens=READ).on_processor()
    onnx.encode(["warm"])
    torch = load_packaged(packaged(*TOKENIZER).parent, tokens=READ, device="cpu")
    if torch is None:
        raise ModelUnavailable("PyTorch found no processor to run on")
    torch.encode(["warm"])
    figures: dict[str, float] = {}
    rows: list[dict[str, object]] = []
    for length, texts in (("long", documents), ("short", [text[:SHORT] for text in documents])):
        times, agreement = _in_turn(onnx, torch, texts)
        speeds = {name: len(texts) / statistics.median(taken) for name, taken in times.items()}
        figures |= {f"{name}_{length}_per_s": speed for name, speed in speeds.items()}
        figures[f"onnx_over_torch_{length}"] = speeds["onnx"] / speeds["torch"]
        figures[f"cosine_min_{length}"] = agreement
        rows += [
            {"runtime": name, "texts": length, "per_s": round(speed, 1)}
            for name, speed in speeds.items()
        ]
    return report("embedders", str(data), figures, rows, time.perf_counter() - began)


def _in_turn(
    onnx: Encoder, torch: Encoder, texts: list[str]
) -> tuple[dict[str, list[float]], float]:
    """Return the seconds each took, round by round, and how alike the least alike vectors are."""
    times: dict[str, list[float]] = {"onnx": [], "torch": []}
    for _ in range(ROUNDS):
        vectors = []
        for name, encoder in (("onnx", onnx), ("torch", torch)):
            began = time.perf_counter()
            vectors.append(encoder.encode(texts))
            times[name].append(time.perf_counter() - began)
    return times, float((vectors[0] * vectors[1]).sum(axis=1).min())
