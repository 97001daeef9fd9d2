"""Train the reader of claims: a three-way cross-encoder from the weights of MiniLM.

    python -m antiphon.evals.training.reader --grounding DIR --retrieval DIR --base DIR --out DIR

`--without GROUP` leaves one group of files out; figures are printed of every file that was not
learnt from.
Needs the extra `train`. What the weights derive from, and under which licences, stands in
`tools/models/weights/NOTICE.md`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antiphon.evals.bench.measures import auroc
from antiphon.evals.training.pairs import GROUPS, LABELS, Pair, labelled, learnt
from antiphon.tools.models.claim_reader import TOKENS

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

RATE, BATCH_TOKENS, WARMUP = 9e-5, 2560, 0.08
KEPT = ("embeddings", "layer.0.")
"""Weights that stay as they are: a tenth of the time, and words not learnt from stay readable."""
FALSE = 0.05
"""Share of supported claims that may be called contradicted: where the cut is put."""
JUDGED = 700
"""Rows of a file that are judged, at random."""


def main() -> None:
    """Train, judge what was not learnt from, and write weights and figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--grounding", type=Path, required=True)
    asked.add_argument("--retrieval", type=Path, required=True)
    asked.add_argument("--base", required=True, help="folder of all-MiniLM-L6-v2 in fp32")
    asked.add_argument("--without", choices=[*GROUPS, ""], default="")
    asked.add_argument("--epochs", type=float, default=2.0)
    asked.add_argument("--limit", type=int, default=0)
    asked.add_argument("--out", type=Path, required=True)
    given = asked.parse_args()
    pairs = learnt(given.grounding, given.retrieval, without=given.without)
    pairs = pairs[: given.limit] if given.limit else pairs
    given.out.mkdir(parents=True, exist_ok=True)
    model = train(pairs, base=given.base, epochs=given.epochs)
    seen = {name for group, names in GROUPS.items() if group != given.without for name in names}
    figures = {}
    for path in sorted(given.grounding.glob("*.jsonl")):
        if path.stem not in seen:
            rows = labelled(path)
            random.Random(7).shuffle(rows)
            figures[path.stem] = judge(model, rows[:JUDGED])
            print(path.stem, json.dumps(figures[path.stem]), flush=True)
    (given.out / "figures.json").write_text(json.dumps(figures, indent=2))
    export(model, given.out)


def train(pairs: Sequence[Pair], *, base: str, epochs: float) -> CrossEncoder:
    """Return a cross-encoder trained on the pairs; word vectors stay as they are."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(7)
    model = CrossEncoder(base, num_labels=len(LABELS), max_length=TOKENS, device="cpu")
    network, tokenizer = model.model, model.tokenizer
    for name, weight in network.named_parameters():
        weight.requires_grad = not any(part in name for part in KEPT)
    free = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(free, lr=RATE, weight_decay=0.01)
    lengths = [len(one.evidence) + len(one.claim) for one in pairs]
    steps = [rows for number in range(int(np.ceil(epochs))) for rows in batches(lengths, number)]
    steps = steps[: int(len(steps) * epochs / np.ceil(epochs))]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda at: min((at + 1) / (WARMUP * len(steps)), max(0.02, (len(steps) - at) / len(steps))),
    )
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.05)
    network.train()
    began, lost = time.monotonic(), 0.0
    for at, rows in enumerate(steps, start=1):
        fed = tokenizer(
            [pairs[row].evidence for row in rows],
            [pairs[row].claim for row in rows],
            truncation=True,
            max_length=TOKENS,
            padding=True,
            return_tensors="pt",
        )
        loss = loss_of(network(**fed).logits, torch.tensor([pairs[row].label for row in rows]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(free, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        lost += loss.item()
        if at % 100 == 0:
            spent = time.monotonic() - began
            print(f"{at}/{len(steps)} loss {lost / 100:.3f} {spent:.0f} s", flush=True)
            lost = 0.0
    network.eval()
    return model


def batches(lengths: Sequence[int], seed: int) -> list[list[int]]:
    """Return the rows of each step: of like length, as many as fit, in an order by chance."""
    chance = random.Random(seed)
    order = sorted(range(len(lengths)), key=lambda row: lengths[row] * chance.uniform(0.85, 1.15))
    found: list[list[int]] = [[]]
    for row in order:
        # About four characters a token.
        if (len(found[-1]) + 1) * min(TOKENS, lengths[row] / 4 + 4) > BATCH_TOKENS:
            found.append([])
        found[-1].append(row)
    chance.shuffle(found)
    return found


def read(model: CrossEncoder, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the three probabilities of each pair."""
    import torch

    order = sorted(range(len(pairs)), key=lambda row: len(pairs[row].evidence))
    found = np.empty((len(pairs), len(LABELS)))
    with torch.inference_mode():
        for at in range(0, len(order), 32):
            rows = order[at : at + 32]
            fed = model.tokenizer(
                [pairs[row].evidence for row in rows],
                [pairs[row].claim for row in rows],
                truncation=True,
                max_length=TOKENS,
                padding=True,
                return_tensors="pt",
            )
            found[rows] = torch.softmax(model.model(**fed).logits, 1).numpy()
    return found


def judge(model: CrossEncoder, rows: Sequence[Pair]) -> dict[str, float]:
    """Return how well a file's rows are told apart."""
    marks = read(model, rows)
    label = np.array([row.label for row in rows])
    figures = {"rows": float(len(rows))}
    if (label == 0).any() and (label != 0).any():
        figures["auroc"] = auroc(list(marks[label == 0, 0]), list(marks[label != 0, 0]))
    if (label == 0).any() and (label == 1).any():
        right, wrong = marks[label == 0, 1], marks[label == 1, 1]
        figures["auroc_contradicted"] = auroc(list(wrong), list(right))
        cut = float(np.quantile(right, 1 - FALSE))
        figures["cut"], figures["caught"] = cut, float((wrong > cut).mean())
    return {name: round(value, 3) for name, value in figures.items()}


def export(model: CrossEncoder, out: Path) -> None:
    """Write the weights as ONNX, and again with weights of eight bits."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model.model.save_pretrained(out / "torch")
    fed = model.tokenizer(["page"], ["claim"], return_tensors="pt")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        model.model, tuple(fed[name] for name in names), str(out / "reader-fp32.onnx"),
        input_names=names, output_names=["logits"], opset_version=17, dynamo=False,
        dynamic_axes={name: {0: "rows", 1: "tokens"} for name in names} | {"logits": {0: "rows"}},
    )  # fmt: skip
    quantize_dynamic(out / "reader-fp32.onnx", out / "reader.onnx", weight_type=QuantType.QInt8,
                     per_channel=True, reduce_range=True)  # fmt: skip


if __name__ == "__main__":
    main()
