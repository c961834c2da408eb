"""What every test finds around it."""

import ast
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from mmengine.config import config as mmengine_config
from mmengine.registry import DefaultScope

import mmssm.registry  # noqa: F401  cures the host before a test imports it


def pytest_collection_finish() -> None:
    """Hides all that is imported by now from the garbage collector.

    MMEngine calls it whenever it has read a dataset; among a million objects that
    stay for ever, each call takes a quarter of a second.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='session')
def unformatted_configs() -> Iterator[None]:
    """Configs are logged and saved as they are, if they are Python.

    MMEngine has each formatted six times in a run, which takes longer than the
    training of a small model.
    """

    def parse(text: str, **_: Any) -> tuple[str, bool]:
        ast.parse(text)
        return text, False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine_config, 'FormatCode', parse)
        yield


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    """The scope of all configs: what a runner left behind must not decide."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield
