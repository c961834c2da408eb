import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

import mmssm.registry  # noqa: F401
from mmssm.visualization import PoseSequence, Skeleton


@pytest.fixture(scope='session')
def h36m_meta():
    return parse_pose_metainfo({'from_file': 'configs/_base_/datasets/h36m.py'})


@pytest.fixture
def skeleton(h36m_meta):
    return Skeleton.from_dataset_meta(h36m_meta)


@pytest.fixture
def sequence():
    """Six frames of a person half a metre wide, predicted 30 mm too far right."""
    rng = np.random.default_rng(0)
    target = rng.uniform(-0.5, 0.5, (1, 17, 3)) + np.zeros((6, 1, 1))
    predicted = target + np.array([0.03, 0, 0])
    keypoints = 500 + 300 * target[..., :2]
    return PoseSequence('S9_Walk.cam0', predicted, target, keypoints)
