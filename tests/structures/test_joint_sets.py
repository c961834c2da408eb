import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmssm.structures.joint_sets import JOINT_SETS, get_joint_set

MMPOSES = ('h36m', 'coco', 'halpe26', 'coco_wholebody', 'mpi_inf_3dhp')


def metainfo(name: str) -> dict:
    return parse_pose_metainfo({'from_file': f'configs/_base_/datasets/{name}.py'})


@pytest.mark.filterwarnings('ignore:The metainfo config file')
@pytest.mark.parametrize('name', MMPOSES)
def test_joints_are_mmposes(name):
    joints, theirs = get_joint_set(name), metainfo(name)
    assert list(joints.joint_names) == [
        theirs['keypoint_id2name'][joint] for joint in range(theirs['num_keypoints'])
    ]
    assert list(joints.flip_indices) == list(theirs['flip_indices'])
    assert {frozenset(link) for link in joints.skeleton} == {
        frozenset(link) for link in theirs['skeleton_links']
    }


def test_mediapipes_joints_stand_where_its_figure_shows_them():
    joints = get_joint_set('mediapipe_pose')
    assert joints.num_joints == 33
    places = {
        'nose': 0,
        'left_eye': 2,
        'right_eye': 5,
        'left_ear': 7,
        'mouth_right': 10,
        'left_shoulder': 11,
        'right_elbow': 14,
        'left_pinky': 17,
        'right_index': 20,
        'left_thumb': 21,
        'left_hip': 23,
        'right_ankle': 28,
        'left_heel': 29,
        'right_foot_index': 32,
    }
    assert {name: joints.index(name) for name in places} == places


@pytest.mark.parametrize('name', JOINT_SETS)
def test_mirroring_twice_changes_nothing_and_swaps_every_side(name):
    joints = get_joint_set(name)
    flip = joints.flip_indices
    assert [flip[other] for other in flip] == list(range(joints.num_joints))
    for joint in range(joints.num_joints):
        side, other = joints.side(joint), joints.side(flip[joint])
        if name != 'op21':
            assert {side, other} in ({''}, {'left', 'right'})
    assert all(flip[i] == j and i < j for i, j in joints.flip_pairs)


def test_an_unknown_set_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no joint set 'body25'.*coco, coco_whole"):
        get_joint_set('body25')
    with pytest.raises(ValueError, match="coco has no joint 'tail'"):
        get_joint_set('coco').index('tail')
