"""A lifting config that trains in a second."""

from pathlib import Path

import pytest
from helpers.h36m import videos, write
from helpers.tools import CONFIG


@pytest.fixture(scope='session')
def lifting_config(tmp_path_factory) -> Path:
    """A config file that trains a tiny PoseMamba, beside its Human3.6M files."""
    folder = tmp_path_factory.mktemp('lifting')
    write(folder, videos(S1_Walk_1__54138969=30, S1_Eat_1__54138969=21))
    path = folder / 'tiny.py'
    path.write_text(CONFIG.replace('{data_root!r}', repr(str(folder))))
    return path
