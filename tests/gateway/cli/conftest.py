"""The lantern shop, opened once and copied for each test that runs commands as processes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from lantern import FACT, QUESTION, Shop, set_up


@pytest.fixture(scope="session")
def opened_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop in which alice has asked one question in thread `t`."""
    root = tmp_path_factory.mktemp("lantern")
    shop = Shop(assistant=set_up(root / "shop"), data=root / "data")
    turn = shop.answer(QUESTION, "--thread", "t", "--user", "alice")
    assert FACT in turn["answer"]
    return shop


@pytest.fixture
def lanterns(opened_shop: Shop, tmp_path: Path) -> Shop:
    """The opened shop on a copy of its data."""
    data = tmp_path / "copy"
    shutil.copytree(opened_shop.data, data)
    return replace(opened_shop, data=data)
