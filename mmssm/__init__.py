"""State-space (Mamba) pose models for MMPose."""

__version__ = '0.1.0'
