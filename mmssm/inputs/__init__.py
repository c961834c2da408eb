"""What lifters and hand models are given: frames, keypoint files, 2D front ends."""

from mmssm.inputs.frames import Frames, MissingSource, UnreadableSource, open_frames

__all__ = ['Frames', 'MissingSource', 'UnreadableSource', 'open_frames']
