import itertools
import json

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmssm.structures import hand

# written out in the data sets' documents, wrist first and thumb to little finger
KNOWN = {
    'op21': ' '.join(map(str, range(21))),
    'mano': '0 13 14 15 16 1 2 3 17 4 5 6 18 10 11 12 19 7 8 9 20',
    'interhand': '20 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12 19 18 17 16',
    'rhd': '0 4 3 2 1 8 7 6 5 12 11 10 9 16 15 14 13 20 19 18 17',
}
KNOWN = {order: [int(place) for place in text.split()] for order, text in KNOWN.items()}
SUBMISSION = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]


@pytest.mark.parametrize('order', hand.ORDERS)
def test_orders_are_the_documented_ones(order):
    assert list(hand.permutation(order)) == KNOWN[order]
    assert sorted(hand.ORDERS[order]) == sorted(hand.JOINT_NAMES)


def test_what_ho3ds_server_takes():
    assert list(hand.permutation('op21', 'mano')) == SUBMISSION


@pytest.mark.parametrize(('a', 'b'), list(itertools.permutations(hand.ORDERS, 2)))
def test_there_and_back(a, b):
    joints = np.random.default_rng(0).normal(size=(2, 21, 3))
    there = hand.reorder(joints, a, b)
    np.testing.assert_array_equal(hand.reorder(there, b, a), joints)
    assert not np.array_equal(there, joints)
    seen = joints[..., 0]
    np.testing.assert_array_equal(hand.reorder(seen, a, b, axis=-1), there[..., 0])


def test_names_and_bones_are_mmposes():
    meta = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/freihand2d.py'})
    assert tuple(meta['keypoint_id2name'].values()) == hand.JOINT_NAMES
    assert tuple(map(tuple, meta['skeleton_links'])) == hand.SKELETON
    for order, name in (('interhand', 'interhand3d'), ('rhd', 'rhd2d')):
        meta = parse_pose_metainfo({'from_file': f'configs/_base_/datasets/{name}.py'})
        names = [name for _, name in sorted(meta['keypoint_id2name'].items())][:21]
        ours = [f'right_{name}' for name in hand.ORDERS['interhand']]
        assert names == (ours if order == 'interhand' else list(hand.ORDERS['rhd']))


def test_parents_lead_to_the_wrist():
    for joint, parent in enumerate(hand.PARENTS):
        assert parent < joint
    for tip in hand.TIPS:
        chain = [tip]
        while chain[-1] != hand.WRIST:
            chain.append(hand.PARENTS[chain[-1]])
        assert len(chain) == 5


@pytest.mark.parametrize('order', hand.TWO_HANDS)
def test_each_half_is_one_hand(order):
    first = np.repeat(np.arange(42)[:, None], 3, 1)
    sides = hand.TWO_HANDS[order]
    for number, side in enumerate(sides):
        one = hand.half(first, order, side)
        expected = 21 * number + np.array(KNOWN[order])
        np.testing.assert_array_equal(one[:, 0], expected)
        np.testing.assert_array_equal(
            hand.half(first[:, 0], order, side, axis=0), expected
        )
    assert sides[0] == {'interhand': 'right', 'rhd': 'left'}[order]


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: hand.permutation('coco'), "got 'coco'"),
        (lambda: hand.permutation('rhd', 'coco'), "got 'coco'"),
        (lambda: hand.reorder(np.zeros((20, 3)), 'rhd'), 'expected 21 joints'),
        (lambda: hand.half(np.zeros((21, 3)), 'rhd', 'left'), 'expected 42 joints'),
        (lambda: hand.half(np.zeros((42, 3)), 'rhd', 'both'), "and 'both'"),
        (lambda: hand.half(np.zeros((42, 3)), 'mano', 'left'), "got 'mano'"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def right_hand(bend=0.4):
    """Palm to the camera, fingers up, thumb to the right; x right, y down."""
    joints = np.zeros((21, 3))
    for finger, x in enumerate((60, 30, 10, -10, -30)):
        for joint in range(4):
            up = (40 if finger == 0 else 80) + 25 * joint
            joints[1 + 4 * finger + joint] = x, -up, -bend * 10 * joint**2
    return joints


def test_chirality_tells_right_from_left():
    right = right_hand()
    left = right * [-1, 1, 1]
    assert hand.chirality(right) > 0.05
    assert hand.chirality(left) == pytest.approx(-hand.chirality(right))
    # OpenGL's axes are OpenCV's, turned: the same hand
    assert hand.chirality(right * [1, -1, -1]) == pytest.approx(hand.chirality(right))
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turned = 2.5 * right @ (turn * np.sign(np.linalg.det(turn))) + 7
    assert hand.chirality(turned) == pytest.approx(hand.chirality(right))
    both = hand.chirality(np.stack([right, left, np.zeros((21, 3))]))
    assert both.shape == (3,) and both[2] == 0
    assert np.abs(both).max() <= 1


def test_constants_are_plain_data():
    """Configs may take them over."""
    for name in ('JOINT_NAMES', 'PARENTS', 'TIPS', 'NYU_EVALUATED', 'ORDERS'):
        assert json.dumps(getattr(hand, name))
    assert len(hand.NYU_EVALUATED) == 14
    named = {name for bone in hand.NYU_SKELETON for name in bone}
    assert named == set(hand.NYU_EVALUATED)
    assert all(len(set(ids)) == 5 for ids in hand.FINGERTIP_VERTICES.values())
