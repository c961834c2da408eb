"""What every test finds around it."""

import gc
from collections.abc import Iterator

import pytest
from mmengine.registry import DefaultScope

import mmssm.registry  # noqa: F401  cures the host before a test imports it


def pytest_collection_finish() -> None:
    """Hides all that is imported by now from the garbage collector.

    MMEngine calls it whenever it has read a dataset; among a million objects that
    stay for ever, each call takes a quarter of a second.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    """The scope of all configs: what a runner left behind must not decide."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield
