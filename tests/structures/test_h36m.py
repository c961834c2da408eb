from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmssm.structures import h36m

METAINFO = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/h36m.py'})


def test_joints_are_mmposes():
    assert list(h36m.JOINT_NAMES) == [
        METAINFO['keypoint_id2name'][joint] for joint in range(h36m.NUM_JOINTS)
    ]
    assert METAINFO['num_keypoints'] == h36m.NUM_JOINTS
    assert h36m.JOINT_NAMES[h36m.ROOT] == 'root'


def test_bones_are_mmposes():
    assert {frozenset(bone) for bone in h36m.SKELETON} == {
        frozenset(link) for link in METAINFO['skeleton_links']
    }


def test_parents_come_first():
    assert all(parent < joint for joint, parent in enumerate(h36m.PARENTS))


def test_mirroring_is_mmposes():
    assert list(h36m.FLIP_INDICES) == list(METAINFO['flip_indices'])
    assert [sorted(pair) for pair in h36m.FLIP_PAIRS] == [
        [1, 4],
        [2, 5],
        [3, 6],
        [11, 14],
        [12, 15],
        [13, 16],
    ]
