"""Functions for scripts: one import, one call."""

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.models.deform_samples import DeformSamples, deform_samples

from .checkpoint import (
    build_from_checkpoint,
    check_model_config,
    load_checkpoint,
    model_config_for_checkpoint,
    save_checkpoint,
)

__all__ = [
    'DeformSamples',
    'build_from_checkpoint',
    'check_model_config',
    'deform_samples',
    'load_checkpoint',
    'model_config_for_checkpoint',
    'save_checkpoint',
]
