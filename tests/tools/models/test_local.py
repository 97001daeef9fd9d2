"""The local model speaks where its library and weights are installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from antiphon.tools.errors import ModelRejected
from antiphon.tools.models.local import WEIGHTS_PACKAGE, Local


def _missing() -> str:
    if find_spec("xllamacpp") is None:
        return "xllamacpp is not installed (extra `local`)"
    try:
        weights = [name for name in files(WEIGHTS_PACKAGE) or [] if name.suffix == ".gguf"]
    except PackageNotFoundError:
        weights = []
    return "" if weights else f"{WEIGHTS_PACKAGE} is not installed (extra `local`)"


@pytest.mark.local_model
@pytest.mark.skipif(bool(_missing()), reason=_missing())
async def test_it_answers_in_process_and_counts_its_tokens() -> None:
    """A short answer comes with the engine's own usage, and a prompt too long is refused."""
    model = Local.of(None, max_tokens=8).model_copy(update={"context_tokens": 512})

    reply = await model.ainvoke([SystemMessage("Be brief."), HumanMessage("Say hello.")])

    assert reply.text.strip()
    assert reply.usage_metadata is not None
    assert 1 <= reply.usage_metadata["output_tokens"] <= 8
    with pytest.raises(ModelRejected, match="context size"):
        await model.ainvoke("hello " * 2000)


def test_any_file_of_weights_may_be_named(tmp_path: Path) -> None:
    """Nothing is loaded before the first answer, so a model can be opened cheaply."""
    weights = tmp_path / "tiny.gguf"
    weights.touch()

    assert Local.of(weights, max_tokens=5).gguf == weights
