"""Functions for scripts: one import, one call."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from .checkpoint import (
    build_from_checkpoint,
    check_model_config,
    load_checkpoint,
    model_config_for_checkpoint,
    save_checkpoint,
)

__all__ = [
    'build_from_checkpoint',
    'check_model_config',
    'load_checkpoint',
    'model_config_for_checkpoint',
    'save_checkpoint',
]
