"""What every test finds around it."""

from collections.abc import Iterator

import pytest
from mmengine.registry import DefaultScope

import mmssm.registry  # noqa: F401  cures the host before a test imports it


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    """The scope of all configs: what a runner left behind must not decide."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield
