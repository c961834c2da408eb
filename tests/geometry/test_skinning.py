import numpy as np
import pytest
import torch
from helpers.hand_model import PARENTS, hand_arrays

from mmssm.geometry.hand_model import (
    free_hand_file,
    load_hand_model,
    save_hand_arrays,
)
from mmssm.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    rotation_6d_to_matrix,
)
from mmssm.geometry.skinning import pose_hand


@pytest.fixture
def model(tmp_path):
    return save_hand_arrays(tmp_path / 'hand.npz', hand_arrays(), torch.float64)


def random_rotations(count, joints=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turns = torch.randn(count, joints, 3, generator=generator, dtype=torch.float64)
    return axis_angle_to_matrix(turns)


def by_the_formula(arrays, rotations, betas):
    """Equations of MANO for one hand, vertex by vertex with 4 x 4 matrices."""
    shaped = arrays['v_template'] + arrays['shapedirs'] @ betas
    joints = arrays['J_regressor'] @ shaped
    feature = np.concatenate([(r - np.eye(3)).ravel() for r in rotations[1:]])
    posed = shaped + arrays['posedirs'] @ feature
    moves = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if joint else 0)
        moves.append(moves[parent] @ local if joint else local)
    places = np.array([move[:3, 3] for move in moves])
    for joint, move in enumerate(moves):
        back = np.eye(4)
        back[:3, 3] = -joints[joint]
        moves[joint] = move @ back
    vertices = []
    for vertex, weights in zip(posed, arrays['weights'], strict=True):
        blended = sum(w * move for w, move in zip(weights, moves, strict=True))
        vertices.append((blended @ np.append(vertex, 1))[:3])
    return np.array(vertices), places


def test_equals_the_formula(model):
    rotations = random_rotations(2)
    betas = torch.tensor([[0.5, -1, 2, 0.3], [0, 1, 0, -2]], dtype=torch.float64)
    hand = pose_hand(model, rotations, betas)
    for row in range(2):
        vertices, joints = by_the_formula(
            hand_arrays(), rotations[row].numpy(), betas[row].numpy()
        )
        np.testing.assert_allclose(hand.vertices[row], vertices, atol=1e-14)
        np.testing.assert_allclose(hand.joints[row], joints, atol=1e-14)


def test_no_turn_gives_the_template(model):
    eye = torch.eye(3, dtype=torch.float64).expand(3, 16, 3, 3)
    hand = pose_hand(model, eye)
    torch.testing.assert_close(
        hand.vertices, model.v_template.expand(3, -1, -1), atol=1e-15, rtol=0
    )
    torch.testing.assert_close(
        hand.joints, model.joints.expand(3, -1, -1), atol=1e-15, rtol=0
    )


def test_turning_the_root_turns_all_about_it(model):
    rotations = random_rotations(2)
    turn = random_rotations(1, 1, seed=5)[0, 0]
    before = pose_hand(model, rotations)
    turned = rotations.clone()
    turned[:, 0] = turn @ rotations[:, 0]
    after = pose_hand(model, turned)
    root = model.joints[0]
    for one, other in zip(before[:2], after[:2], strict=True):
        torch.testing.assert_close(other, (one - root) @ turn.T + root)


def test_bones_keep_their_lengths(model):
    joints = pose_hand(model, random_rotations(4)).joints
    parents = list(PARENTS[1:])
    lengths = (joints[:, 1:] - joints[:, parents]).norm(dim=-1)
    rest = (model.joints[1:] - model.joints[parents]).norm(dim=-1)
    torch.testing.assert_close(lengths, rest.expand(4, -1))


def test_fewer_shapes_are_the_first_ones(model):
    rotations = random_rotations(1)
    few = torch.tensor([[0.7, -0.4]], dtype=torch.float64)
    padded = torch.cat([few, torch.zeros(1, 2, dtype=torch.float64)], 1)
    torch.testing.assert_close(
        pose_hand(model, rotations, few), pose_hand(model, rotations, padded)
    )


def test_gradients():
    from dataclasses import replace

    model = load_hand_model(free_hand_file(), torch.float64)
    few = torch.arange(0, model.num_vertices, 180)
    model = replace(
        model,
        v_template=model.v_template[few],
        shapedirs=model.shapedirs[few],
        posedirs=model.posedirs[few],
        weights=model.weights[few],
    )
    generator = torch.Generator().manual_seed(0)
    turns = 0.4 * torch.randn(1, 16, 3, generator=generator, dtype=torch.float64)
    turns[:, 3] = 0
    betas = torch.randn(1, 10, generator=generator, dtype=torch.float64)

    def posed(turns, betas):
        return pose_hand(model, axis_angle_to_matrix(turns), betas)[:2]

    inputs = (turns.requires_grad_(), betas.requires_grad_())
    assert torch.autograd.gradcheck(posed, inputs, fast_mode=True)


def test_single_precision_is_near(model):
    rotations = random_rotations(2)
    exact = pose_hand(model, rotations)
    rough = pose_hand(model.to(dtype=torch.float32), rotations.float())
    assert rough.vertices.dtype == torch.float32
    torch.testing.assert_close(
        rough.vertices.double(), exact.vertices, atol=1e-6, rtol=0
    )


def test_an_empty_batch(model):
    hand = pose_hand(model, random_rotations(0), torch.zeros(0, 4, dtype=torch.float64))
    assert hand.vertices.shape == (0, 30, 3)
    assert hand.joints.shape == (0, 16, 3)


@pytest.mark.parametrize(
    ('rotations', 'betas', 'message'),
    [
        ((2, 15, 3, 3), None, r'rotations must have shape \(N, 16, 3, 3\)'),
        ((16, 3, 3), None, 'rotations must have shape'),
        ((2, 16, 3, 3), (2, 5), r'betas must have shape \(2, at most 4\)'),
        ((2, 16, 3, 3), (1, 4), 'betas must have shape'),
        ((2, 16, 3, 3), (4,), 'betas must have shape'),
    ],
)
def test_refuses_other_shapes(model, rotations, betas, message):
    betas = None if betas is None else torch.zeros(betas, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        pose_hand(model, torch.zeros(rotations, dtype=torch.float64), betas)


def test_axis_angles_and_back():
    turns = torch.tensor([[0.3, -0.2, 0.9], [0, 0, 0], [0, 1.5, 0]]).double()
    matrices = axis_angle_to_matrix(turns)
    torch.testing.assert_close(matrix_to_axis_angle(matrices), turns)
    quarter = axis_angle_to_matrix(torch.tensor([0, 0, np.pi / 2]).double())
    expected = torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]]).double()
    torch.testing.assert_close(quarter, expected)


def test_six_numbers_are_two_columns():
    six = torch.tensor([0, 2, 0, -3, 1, 0]).double()
    matrix = rotation_6d_to_matrix(six)
    expected = torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]]).double()
    torch.testing.assert_close(matrix, expected)
    some = random_rotations(1)[0]
    columns = torch.cat([some[..., 0], some[..., 1]], -1)
    torch.testing.assert_close(rotation_6d_to_matrix(columns), some)
