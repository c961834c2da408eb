"""What a config names as a model: backbones, heads, estimators and losses."""

from mmssm.registry import MODELS  # cures the host before it is imported

from . import backbones, heads, layers, losses, pose_estimators

# the one layer that configs name
MODELS.register_module(module=layers.MANO)

__all__ = ['backbones', 'heads', 'layers', 'losses', 'pose_estimators']
