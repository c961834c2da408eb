"""MANO as a layer: what holds for any hand, conventions, and smplx beside it."""

import numpy as np
import pytest
import torch
from helpers.hand_model import (
    PARENTS,
    hand_arrays,
    mano_contents,
    mirrored_hand_arrays,
    write_mano_pickle,
)

from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.models.layers.mano import MANO, hand_side
from mmssm.registry import MODELS
from mmssm.structures.hand import FINGERTIP_VERTICES, permutation

# thumb bones of MANO's joints stand at 13 to 15 and 16, and so on
OP21_IN_MANO = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18]
OP21_IN_MANO += [10, 11, 12, 19, 7, 8, 9, 20]


@pytest.fixture(scope='module')
def free():
    return MANO().double()


def written(tmp_path, **changes):
    """A file of random numbers."""
    arrays = {**hand_arrays(), **changes}
    path = tmp_path / 'hand.npz'
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def random_pose(count, joints=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turns = torch.randn(count, joints, 3, generator=generator, dtype=torch.float64)
    return 0.6 * turns


def rotations(pose):
    turns = axis_angle_to_matrix(pose)
    return turns[:, :1], turns[:, 1:]


def eyes(count, dtype=torch.float64):
    eye = torch.eye(3, dtype=dtype)
    return eye.expand(count, 1, 3, 3), eye.expand(count, 15, 3, 3)


def test_no_turn_gives_the_template(free):
    model = load_hand_model(free_hand_file(), torch.float64)
    hand = free(*eyes(2), torch.zeros(2, 10).double())
    assert hand.vertices.shape == (2, 1159, 3)
    assert hand.joints.shape == (2, 21, 3)
    torch.testing.assert_close(
        hand.vertices, model.v_template.expand(2, -1, -1), atol=1e-7, rtol=0
    )
    native = torch.cat([model.joints, model.v_template[list(model.tips)]])
    torch.testing.assert_close(
        hand.joints, native[OP21_IN_MANO].expand(2, -1, -1), atol=1e-7, rtol=0
    )


def test_turning_the_wrist_turns_all_about_it(free):
    orient, pose = rotations(random_pose(2))
    turn = axis_angle_to_matrix(torch.tensor([0.3, -2, 0.4]).double())
    before, after = free(orient, pose), free(turn @ orient, pose)
    wrist = before.joints[:, :1]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(other, (one - wrist) @ turn.T + wrist)


def test_bones_keep_their_lengths_whatever_the_pose(free):
    joints = free(*rotations(random_pose(5))).joints
    rest = free(*eyes(1)).joints
    bones = [(a, a + 1) for f in range(5) for a in (4 * f + 1, 4 * f + 2)]
    bones += [(0, 4 * f + 1) for f in range(5)]
    for a, b in bones:
        length = (joints[:, a] - joints[:, b]).norm(dim=-1)
        torch.testing.assert_close(
            length, (rest[:, a] - rest[:, b]).norm(dim=-1).expand(5)
        )


def test_shapes_are_linear_at_rest(free):
    model = load_hand_model(free_hand_file(), torch.float64)
    betas = torch.linspace(-2, 2, 10, dtype=torch.float64)[None]
    moved = free(*eyes(1), betas).vertices - free(*eyes(1)).vertices
    torch.testing.assert_close(moved[0], model.shapedirs @ betas[0], atol=1e-7, rtol=0)
    few = free(*eyes(1), betas[:, :3])
    padded = torch.cat([betas[:, :3], torch.zeros(1, 7).double()], 1)
    torch.testing.assert_close(few, free(*eyes(1), padded))


def test_orders_are_permutations_of_each_other(free):
    pose = rotations(random_pose(2))
    own, native = free(*pose), MANO(joint_order='mano').double()(*pose)
    assert list(permutation('mano')) == OP21_IN_MANO
    torch.testing.assert_close(native.joints[:, OP21_IN_MANO], own.joints)
    torch.testing.assert_close(native.vertices, own.vertices)
    # thumb and little finger are where a right hand has them, fingers towards -x
    tips = own.joints.new_tensor(free(*eyes(1)).joints[0, [4, 8, 20]].tolist())
    assert tips[0, 2] > tips[1, 2] > tips[2, 2]


def test_gradients(tmp_path):
    layer = MANO(written(tmp_path), tips=[0, 1, 2, 3, 4]).double()
    pose, betas = random_pose(1), torch.ones(1, 4, dtype=torch.float64)
    pose[:, 3] = 0  # the gradient at no turn is finite too

    def posed(pose, betas):
        return tuple(layer(*layer.to_rotations(pose), betas))

    inputs = (pose.requires_grad_(), betas.requires_grad_())
    assert torch.autograd.gradcheck(posed, inputs, fast_mode=True)
    assert torch.autograd.gradcheck(
        lambda r, p: layer(r, p).joints,
        [part.detach().requires_grad_() for part in rotations(random_pose(1))],
        fast_mode=True,
    )


def test_precisions(free):
    orient, pose = rotations(random_pose(2))
    exact, single = free(orient, pose), MANO()
    rough = single(orient.float(), pose.float())
    assert rough.vertices.dtype == torch.float32
    torch.testing.assert_close(
        rough.vertices.double(), exact.vertices, atol=2e-6, rtol=0
    )
    assert single(orient, pose).joints.dtype == torch.float64
    with torch.autocast('cpu', torch.bfloat16):
        again = single(orient.float(), pose.float())
    torch.testing.assert_close(again, rough)
    half = single(orient.bfloat16(), pose.bfloat16(), torch.zeros(2, 10).bfloat16())
    assert half.vertices.dtype == torch.float32


def test_the_mean_pose(tmp_path):
    path = written(tmp_path)
    mean = torch.from_numpy(hand_arrays()['hands_mean']).reshape(1, 15, 3)
    tips = [0, 1, 2, 3, 4]
    flat, bent = (MANO(path, tips, flat_hand_mean=f).double() for f in (True, False))
    pose = random_pose(3)
    orient, fingers = bent.to_rotations(pose.flatten(1))
    torch.testing.assert_close(orient, axis_angle_to_matrix(pose[:, :1]))
    expected = axis_angle_to_matrix(pose[:, 1:] + mean)
    torch.testing.assert_close(fingers, expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(
        flat.to_rotations(pose)[1], axis_angle_to_matrix(pose[:, 1:])
    )
    # rotations are taken as they are, whatever the convention
    torch.testing.assert_close(flat(orient, fingers), bent(orient, fingers))


def test_nothing_of_the_model_is_saved_or_learnt():
    layer = MODELS.build(dict(type='mmssm.MANO'))
    assert not layer.state_dict()
    assert not list(layer.parameters())
    assert layer.faces.dtype == torch.int64
    assert (layer.num_vertices, layer.num_joints, layer.num_betas) == (1159, 16, 10)
    assert layer.hands_mean.shape == (15, 3)
    assert 'vertices=1159' in repr(layer)


def test_follows_the_default_device():
    with torch.device('meta'):
        layer = MANO()
        hand = layer(*(torch.zeros(2, n, 3, 3) for n in (1, 15)), torch.zeros(2, 10))
    assert hand.vertices.shape == (2, 1159, 3)
    assert hand.joints.device.type == 'meta'


def test_an_empty_batch(free):
    hand = free(*eyes(0), torch.zeros(0, 10).double())
    assert hand.vertices.shape == (0, 1159, 3)
    assert hand.joints.shape == (0, 21, 3)


def test_fingertips(tmp_path):
    """Names are of MANO's mesh; other meshes bring their own, or a list."""
    mano_like = tmp_path / 'mano.npz'
    np.savez(mano_like, **hand_arrays(vertices=778))
    for name, vertices in FINGERTIP_VERTICES.items():
        assert MANO(mano_like, name).tips == vertices
    layer = MANO(mano_like, [3, 1, 4, 100, 5]).double()
    hand = layer(*rotations(random_pose(1)))
    torch.testing.assert_close(
        hand.joints[:, [4, 8, 12, 16, 20]], hand.vertices[:, [3, 1, 4, 100, 5]]
    )
    own = written(tmp_path, tips=np.array([9, 8, 7, 6, 5]))
    assert MANO(own, 'freihand').tips == (9, 8, 7, 6, 5)
    with pytest.raises(ValueError, match=r'a mesh of 778, .* has 30 and names no tips'):
        MANO(written(tmp_path))
    with pytest.raises(ValueError, match=r"one of .*'smplx'.*, got 'manopth'"):
        MANO(tips='manopth')
    with pytest.raises(ValueError, match=r'vertices 0 to 1158 .*, got \[1159, -1\]'):
        MANO(tips=[1, 2, 3, 1159, -1])


def test_any_skeleton(tmp_path):
    path = tmp_path / 'other.npz'
    np.savez(path, **hand_arrays(vertices=9, parents=(-1, 0, 0, 2), shapes=2))
    layer = MANO(path, tips=[5, 6], joint_order='mano')
    hand = layer(torch.eye(3).expand(3, 1, 3, 3), torch.eye(3).expand(3, 3, 3, 3))
    assert hand.vertices.shape == (3, 9, 3)
    assert hand.joints.shape == (3, 6, 3)
    with pytest.raises(ValueError, match=r"has 4 joints .* is it another model's file"):
        MANO(path, tips=[5, 6])
    with pytest.raises(ValueError, match='and 4 tips'):
        MANO(tips=[1, 2, 3, 4])
    with pytest.raises(ValueError, match="'op21' or 'mano', got 'rhd'"):
        MANO(joint_order='rhd')


def test_the_pickle_and_the_npz_are_one(tmp_path):
    path = write_mano_pickle(tmp_path / 'hand.pkl', mano_contents(hand_arrays()))
    pose, tips = rotations(random_pose(2)), [0, 1, 2, 3, 4]
    one = MANO(path, tips).double()(*pose)
    other = MANO(written(tmp_path), tips).double()(*pose)
    torch.testing.assert_close(one, other)


def test_which_hand(tmp_path):
    right, left = load_hand_model(free_hand_file()), tmp_path / 'left.npz'
    np.savez(left, **mirrored_hand_arrays(free_hand_file()))
    assert hand_side(right) == 'right'
    assert hand_side(load_hand_model(left)) == 'left'
    assert hand_side(load_hand_model(written(tmp_path, hands_mean=None))) is None
    assert hand_side(load_hand_model(written(tmp_path))) is None
    assert MANO(written(tmp_path), tips=range(5)).parents == PARENTS
    with pytest.raises(
        ValueError, match=r'left\.npz is of a left hand, expected a rig'
    ):
        MANO(left)
    with pytest.raises(ValueError, match='of a right hand, expected a left one'):
        MANO(side='left', mirror_left_shapes=False)
    with pytest.raises(ValueError, match="side='left' needs mirror_left_shapes"):
        MANO(left, side='left')
    with pytest.raises(ValueError, match="is for side='left' alone"):
        MANO(mirror_left_shapes=True)
    with pytest.raises(ValueError, match="must be 'right' or 'left', got 'both'"):
        MANO(side='both')


def test_a_left_hand_is_the_mirror_image(tmp_path, free):
    """With the sign of its shapes put right, where the file has it wrong."""
    arrays = mirrored_hand_arrays(free_hand_file())
    wrong = {**arrays, 'shapedirs': arrays['shapedirs'] * [[-1], [1], [1]]}
    pose, flip = random_pose(2), torch.tensor([-1.0, 1, 1]).double()
    betas = torch.randn(2, 10, generator=torch.Generator().manual_seed(1)).double()
    expected = free(*rotations(pose), betas)
    turned = rotations(pose * torch.tensor([1, -1, -1]))
    for contents, mirror in ((arrays, False), (wrong, True)):
        path = tmp_path / f'{mirror}.npz'
        np.savez(path, **contents)
        layer = MANO(path, side='left', mirror_left_shapes=mirror).double()
        for one, other in zip(expected, layer(*turned, betas), strict=True):
            torch.testing.assert_close(one * flip, other, atol=2e-7, rtol=0)


@pytest.mark.parametrize(
    ('orient', 'pose', 'betas', 'message'),
    [
        ((2, 3, 3), (2, 15, 3, 3), None, r'\(N, 15, 3, 3\), got \(2, 3, 3\)'),
        ((2, 1, 3, 3), (2, 45), None, r'got \(2, 1, 3, 3\) and \(2, 45\)'),
        ((2, 1, 3, 3), (1, 15, 3, 3), None, 'got'),
        ((2, 1, 3, 3), (2, 15, 3, 3), (2, 11), r'betas must have .*at most 10\)'),
    ],
)
def test_refuses_other_shapes(free, orient, pose, betas, message):
    betas = None if betas is None else torch.zeros(betas)
    with pytest.raises(ValueError, match=message):
        free(torch.zeros(orient), torch.zeros(pose), betas)
    with pytest.raises(ValueError, match=r'\(N, 48\) or \(N, 16, 3\), got \(2, 45\)'):
        free.to_rotations(torch.zeros(2, 45))


@pytest.mark.parametrize('flat_hand_mean', [True, False])
def test_smplx_gives_the_same(free, flat_hand_mean):
    smplx = pytest.importorskip('smplx', reason='smplx is the peer, not a dependency')
    with np.load(free_hand_file()) as file:
        arrays = {name: file[name].astype(np.float64) for name in file.files}
    arrays['kintree_table'] = np.array([PARENTS, range(16)])
    arrays['f'] = arrays['f'].astype(np.int64)
    peer = smplx.MANO(
        'free_hand',
        data_struct=smplx.utils.Struct(**arrays),
        use_pca=False,
        flat_hand_mean=flat_hand_mean,
        dtype=torch.float64,
    )
    layer = MANO(joint_order='mano', flat_hand_mean=flat_hand_mean).double()
    pose = random_pose(4)
    betas = torch.randn(4, 10, generator=torch.Generator().manual_seed(1)).double()
    expected = peer(
        betas=betas, global_orient=pose[:, 0], hand_pose=pose[:, 1:].flatten(1)
    )
    hand = layer(*layer.to_rotations(pose), betas)
    # the layer read single precision
    torch.testing.assert_close(hand.vertices, expected.vertices, atol=1e-6, rtol=0)
    torch.testing.assert_close(hand.joints[:, :16], expected.joints, atol=1e-6, rtol=0)
