"""What a config names as a model: backbones, heads, estimators and losses."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from . import backbones, heads, layers, losses, pose_estimators

__all__ = ['backbones', 'heads', 'layers', 'losses', 'pose_estimators']
