"""A cross-encoder in ONNX: its own weights and tokenizer from a folder, no PyTorch."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from antiphon.tools.errors import ModelUnavailable, SettingsError
from antiphon.tools.models.cross_encoder import CrossEncoderReranker
from antiphon.tools.models.embeddings import TOKENIZER, WEIGHTS, make_reranker, packaged
from antiphon.tools.models.onnx_encoders import OnnxScorer
from antiphon.tools.retrieval.passages import Passage


def page(text: str) -> Passage:
    return Passage(id=text, source="a.md", title="", heading="", text=text, start=0, end=len(text))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A real model and tokenizer, laid out as published cross-encoders are."""
    (tmp_path / "onnx").mkdir()
    shutil.copy(packaged(*WEIGHTS), tmp_path / "onnx" / "model_quantized.onnx")
    shutil.copy(packaged(*TOKENIZER), tmp_path / "tokenizer.json")
    return tmp_path


async def test_each_pair_is_read_alike_in_any_company(folder: Path) -> None:
    """A passage's mark does not depend on its batch, its place, or how long the others are."""
    pages = [page("Lamps stand on desks."), page("Rugs."), page("Curtains hang. " * 400)]
    reranker = CrossEncoderReranker("local", partial(OnnxScorer, folder))

    together = await reranker.marks("desk lamps", pages)
    alone = [(await reranker.marks("desk lamps", [one]))[0] for one in pages]
    turned = await CrossEncoderReranker("local", partial(OnnxScorer, folder, batch_tokens=1)).marks(
        "desk lamps", pages[::-1]
    )

    assert together == pytest.approx(alone, abs=0.05)
    assert together == pytest.approx(turned[::-1], abs=0.05)
    assert len(set(together)) == 3
    assert await reranker.marks("desk lamps", []) == []
    assert len(await reranker.marks("lamps " * 5000, pages)) == 3, "a question longer than a pair"


async def test_a_folder_with_onnx_weights_needs_no_torch(folder: Path) -> None:
    """`ANTIPHON_RERANKER` with such a folder takes the quicker runtime."""
    found = make_reranker(str(folder))
    assert isinstance(found, CrossEncoderReranker)
    assert len(await found.marks("q", [page("text")])) == 1
    assert isinstance(found._scorer, OnnxScorer)


@pytest.mark.parametrize("broken", ["tokenizer.json", "onnx/model_quantized.onnx"])
def test_a_damaged_folder_is_named(folder: Path, broken: str) -> None:
    """What cannot be read is a setting to mend, not a crash."""
    (folder / broken).write_text("not it")
    with pytest.raises(SettingsError, match=Path(broken).name):
        OnnxScorer(folder)


def test_a_folder_without_a_tokenizer_says_what_it_lacks(folder: Path) -> None:
    """The hint lists what the folder needs."""
    (folder / "tokenizer.json").unlink()
    with pytest.raises(SettingsError, match="lacks") as caught:
        OnnxScorer(folder)
    assert "tokenizer.json" in caught.value.hint


async def test_a_call_that_was_given_up_does_not_hold_up_the_next(folder: Path) -> None:
    """While one call is still at work, another is refused at once instead of queueing."""
    reranker = CrossEncoderReranker("local", partial(OnnxScorer, folder))
    with reranker._lock, pytest.raises(ModelUnavailable, match="still at work"):
        await reranker.marks("q", [page("text")])
