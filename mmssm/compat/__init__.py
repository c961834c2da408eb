"""Cures for defects of the host (MMPose, MMEngine, MMCV) on today's PyTorch."""


def install() -> None:
    """Puts every cure in place; safe to call again."""
