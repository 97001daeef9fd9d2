"""A real Weaviate server for the tests marked `weaviate`, where its binary is at hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from weaviate_process import Server, running


@pytest.fixture(scope="session")
def weaviate_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the server named by the environment on free ports, or skip saying why."""
    yield from running(tmp_path_factory)
