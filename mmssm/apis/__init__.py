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
from .results import (
    HandMeshResult,
    HandResult,
    LiftingResult,
    PersonResult,
    read_hand_mesh_result,
    read_lifting_result,
)

__all__ = [
    'DeformSamples',
    'HandMeshResult',
    'HandResult',
    'LiftingResult',
    'PersonResult',
    'build_from_checkpoint',
    'check_model_config',
    'deform_samples',
    'load_checkpoint',
    'model_config_for_checkpoint',
    'read_hand_mesh_result',
    'read_lifting_result',
    'save_checkpoint',
]
