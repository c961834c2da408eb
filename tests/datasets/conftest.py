import pytest
from mmengine.registry import DefaultScope

import mmssm.registry  # noqa: F401


@pytest.fixture(autouse=True)
def mmpose_scope():
    """Names without a scope are MMPose's, as in every config."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield
