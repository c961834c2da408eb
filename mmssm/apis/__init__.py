"""Functions for scripts: one import, one call."""

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
