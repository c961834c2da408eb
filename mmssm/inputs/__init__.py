"""What lifters and hand models are given: frames, keypoint files, 2D front ends."""

from mmssm.inputs.formats.rows import KeypointFileError
from mmssm.inputs.frames import Frames, MissingSource, UnreadableSource, open_frames
from mmssm.inputs.frontends import HandBoxes, MediapipeHands, Pose2DFrontend, pose2d
from mmssm.inputs.keypoint_files import read_keypoints, write_keypoints
from mmssm.inputs.tracking import PersonTracker

__all__ = [
    'Frames',
    'HandBoxes',
    'KeypointFileError',
    'MediapipeHands',
    'MissingSource',
    'PersonTracker',
    'Pose2DFrontend',
    'UnreadableSource',
    'open_frames',
    'pose2d',
    'read_keypoints',
    'write_keypoints',
]
