"""What is particular to running under the LangGraph server, without starting one."""

from __future__ import annotations

import json
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path

from fakes import FakeKnowledge, fake_services
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph_sdk import Auth

from antiphon.graphs.compiled import compile_conversation
from antiphon.graphs.declared import DeclaredKnowledge
from antiphon.graphs.server import Served
from antiphon.nodes.state import Failure

ROOT = Path(__file__).parent.parent.parent
FAULT = Failure(node="recall", code="timeout", message="too slow")


def test_a_copy_allows_our_types_in_the_servers_strict_checkpointer() -> None:
    """The server copies the graph for every run; a resumed thread must still get its types back."""
    strict = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
    stored = strict.serde.dumps_typed(FAULT)
    served = Served(**vars(compile_conversation(fake_services())))
    saver = served.copy({"checkpointer": strict}).checkpointer
    assert isinstance(saver, BaseCheckpointSaver)
    assert saver.serde.loads_typed(stored) == FAULT
    assert strict.serde.loads_typed(stored) != FAULT


def test_the_configuration_names_things_that_exist() -> None:
    """langgraph.json points at modules: a file path would load a second copy of our types."""
    config = json.loads((ROOT / "langgraph.json").read_text())
    for spec in (config["graphs"]["conversation"]["path"], config["auth"]["path"]):
        module, _, name = spec.partition(":")
        assert module.startswith("antiphon.")
        assert hasattr(import_module(module), name)
    module, _, name = config["auth"]["path"].partition(":")
    assert isinstance(getattr(import_module(module), name), Auth)


RUN: ContextVar[str] = ContextVar("RUN", default="none")


async def test_ingestion_does_not_run_as_part_of_the_turn_that_needed_it(tmp_path: Path) -> None:
    """Within a run LangGraph's own variables would write the ingestion into the user's thread."""
    seen: list[str] = []

    async def ingest(paths: object, tenant: str) -> None:
        seen.append(RUN.get())

    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    notes = tmp_path / "declared.json"
    knowledge = DeclaredKnowledge(FakeKnowledge(), [tmp_path / "kb"], notes=notes)
    knowledge.bind(ingest)
    RUN.set("a user's turn")
    await knowledge.search("anything", tenant="acme")
    assert seen == ["none"]
