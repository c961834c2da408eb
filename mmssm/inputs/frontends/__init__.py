"""2D front ends: what finds people and hands in frames."""

from mmssm.inputs.frontends.frontend import (
    FramePeople,
    KeypointFileFrontend,
    Pose2DFrontend,
    PoseEstimator,
    pose2d,
)
from mmssm.inputs.frontends.mediapipe_hands import HandBoxes, MediapipeHands
from mmssm.inputs.frontends.mediapipe_pose import MediapipePose
from mmssm.inputs.frontends.mmpose_models import MMPosePeople

__all__ = [
    'FramePeople',
    'HandBoxes',
    'KeypointFileFrontend',
    'MMPosePeople',
    'MediapipeHands',
    'MediapipePose',
    'Pose2DFrontend',
    'PoseEstimator',
    'pose2d',
]
