"""The paths on which a clip is visited without a look ahead."""

import torch

from mmssm.ops import ScanPaths


def frame_path(frames: int, joints: int) -> ScanPaths:
    """Frame by frame, and in each the joints in order, in one run.

    A joint is reached after all joints of earlier frames and those before it in
    its own frame.

    Args:
        frames: Number of frames ``T``.
        joints: Number of joints ``J``.

    Returns:
        The path over ``T * J`` tokens, numbered frame by frame.
    """
    return ScanPaths(torch.arange(frames * joints)[None], [(0, 0, False)])


def joint_path(frames: int, joints: int) -> ScanPaths:
    """Joint by joint, and of each the frames in order, with a restart at every joint.

    Without the restart a joint would be reached after all frames, also later ones,
    of the joints before it.

    Args:
        frames: Number of frames ``T``.
        joints: Number of joints ``J``.

    Returns:
        The path over ``T * J`` tokens, numbered frame by frame, in ``J`` segments.
    """
    grid = torch.arange(frames * joints).view(frames, joints)
    return ScanPaths(grid.t().flatten()[None], [(0, 0, False)], segment=frames)
