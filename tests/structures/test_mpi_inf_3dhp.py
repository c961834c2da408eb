import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmssm.structures import h36m, mpi_inf_3dhp


def test_names_are_mmposes():
    meta = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/mpi_inf_3dhp.py'})
    names = [meta['keypoint_id2name'][joint] for joint in range(17)]
    assert names == list(mpi_inf_3dhp.JOINT_NAMES)


def test_the_permutation_is_the_published_one():
    assert mpi_inf_3dhp.TO_H36M == (
        14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4
    )  # fmt: skip
    assert list(mpi_inf_3dhp.EVALUATED) == [*range(1, 7), 8, *range(10, 17)]


def test_left_stays_left():
    joints = np.arange(17)[:, None]
    moved = mpi_inf_3dhp.to_h36m(joints)[:, 0]
    for place, joint in enumerate(moved):
        ours, theirs = h36m.JOINT_NAMES[place], mpi_inf_3dhp.JOINT_NAMES[joint]
        for side in ('left', 'right'):
            assert ours.startswith(side) == theirs.startswith(side)
