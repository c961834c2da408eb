import pickle

import numpy as np
import pytest
import torch
from helpers.hand_model import PARENTS, hand_arrays

from mmssm.geometry.hand_model import (
    free_hand_file,
    load_hand_model,
    save_hand_arrays,
)


def written(tmp_path, **changes):
    arrays = {**hand_arrays(), **changes}
    path = tmp_path / 'hand.npz'
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_reads_manos_keys(tmp_path):
    arrays = hand_arrays()
    model = load_hand_model(written(tmp_path))
    assert (model.num_vertices, model.num_joints, model.num_shapes) == (30, 16, 4)
    assert model.parents == PARENTS
    assert model.faces.dtype == torch.int64
    assert model.tips == ()
    assert model.joint_frames is None
    np.testing.assert_allclose(
        model.joints, arrays['J_regressor'] @ arrays['v_template'], atol=1e-7
    )
    moved = arrays['v_template'] + arrays['shapedirs'][..., 2]
    np.testing.assert_allclose(
        model.joints + model.joint_shapedirs[..., 2],
        arrays['J_regressor'] @ moved,
        atol=1e-7,
    )
    np.testing.assert_array_equal(
        model.hands_mean, arrays['hands_mean'].reshape(15, 3).astype(np.float32)
    )


def test_what_may_be_absent(tmp_path):
    joints = np.random.default_rng(1).normal(size=(16, 3))
    path = written(
        tmp_path,
        shapedirs=None,
        posedirs=None,
        hands_mean=None,
        J_regressor=None,
        J=joints,
        kintree_table=None,
        parents=np.array(PARENTS),
        tips=np.array([4, 3, 2, 1, 0]),
    )
    model = load_hand_model(path)
    assert model.shapedirs.shape == (30, 3, 0)
    assert model.posedirs.shape == (30, 3, 135)
    assert not model.posedirs.any()
    assert not model.hands_mean.any()
    assert model.tips == (4, 3, 2, 1, 0)
    np.testing.assert_array_equal(model.joints, joints.astype(np.float32))


def test_joints_that_no_shape_moves(tmp_path):
    path = written(tmp_path, J_regressor=None, J=np.zeros((16, 3)))
    assert not load_hand_model(path).joint_shapedirs.any()


def test_any_skeleton(tmp_path):
    path = tmp_path / 'hand.npz'
    model = save_hand_arrays(
        path, hand_arrays(vertices=7, parents=(-1, 0, 0), shapes=1)
    )
    assert (model.num_vertices, model.num_joints, model.num_shapes) == (7, 3, 1)
    assert load_hand_model(path).parents == (-1, 0, 0)


def test_moves_between_precisions(tmp_path):
    model = load_hand_model(written(tmp_path)).to(dtype=torch.float64)
    assert model.v_template.dtype == model.hands_mean.dtype == torch.float64
    assert model.faces.dtype == torch.int64


ROWS_OFF = hand_arrays()['weights'] * 1.5
NEGATIVE = hand_arrays()['weights'].copy()
NEGATIVE[3, :2] = [-0.5, NEGATIVE[3, :2].sum() + 0.5]
NAN = hand_arrays()['v_template'].copy()
NAN[2, 1] = np.nan


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'v_template': None}, "has no 'v_template'; found"),
        ({'v_template': np.zeros((30, 2))}, r"'v_template': expected shape \(any, 3\)"),
        ({'v_template': NAN}, "'v_template': expected finite numbers, found NaN"),
        ({'v_template': np.full((30, 3), 'x')}, "'v_template': expected numbers"),
        ({'weights': ROWS_OFF}, r"'weights': expected rows that sum to 1, found 1\.50"),
        ({'weights': NEGATIVE}, "'weights': expected no negative numbers"),
        ({'weights': np.ones((29, 16)) / 16}, r"'weights': expected shape \(30, any\)"),
        ({'f': np.full((4, 3), 30)}, "'f': expected vertex numbers 0 to 29, found 30"),
        ({'f': np.zeros((4, 3))}, "'f': expected whole numbers, found dtype float64"),
        ({'f': np.zeros((0, 3), int)}, "'f': expected shape .*not empty"),
        (
            {'posedirs': np.zeros((30, 3, 134))},
            r"'posedirs': expected .*\(30, 3, 135\)",
        ),
        ({'shapedirs': np.zeros((29, 3, 4))}, "'shapedirs': expected shape"),
        ({'hands_mean': np.zeros(44)}, "'hands_mean': expected shape"),
        ({'J_regressor': None}, "has no 'J'"),
        ({'J_regressor': np.ones((16, 30))}, "'J_regressor': expected rows that sum"),
        (
            {'kintree_table': np.zeros((2, 16), int)},
            "'kintree_table': expected the root",
        ),
        ({'kintree_table': np.zeros((2, 15), int)}, "'kintree_table': expected shape"),
        ({'parents': np.array([-1, 2, 1, *[0] * 13])}, "'parents': expected the root"),
        ({'parents': np.zeros(16)}, "'parents': expected whole numbers"),
        ({'tips': np.array([30])}, "'tips': expected vertex numbers"),
        ({'joint_frames': np.ones((16, 3, 3))}, "'joint_frames': expected rotations"),
    ],
)
def test_says_what_is_wrong(tmp_path, changes, message):
    path = written(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as info:
        load_hand_model(path)
    assert 'hand.npz' in str(info.value)


def test_missing_damaged_and_pickled_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.npz does not exist'):
        load_hand_model(tmp_path / 'none.npz')
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match='cannot be read'):
        load_hand_model(path)
    path.write_bytes(pickle.dumps({'v_template': 1}))
    with pytest.raises(ValueError, match='not a pickle'):
        load_hand_model(path)
    path = written(tmp_path, hands_mean=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match='cannot be read'):
        load_hand_model(path)


def test_does_not_write_what_is_no_hand(tmp_path):
    with pytest.raises(ValueError, match="'weights'"):
        save_hand_arrays(tmp_path / 'hand.npz', {**hand_arrays(), 'weights': ROWS_OFF})
    assert not (tmp_path / 'hand.npz').exists()


def test_the_free_hand():
    model = load_hand_model(free_hand_file())
    assert (model.num_vertices, model.num_joints, model.num_shapes) == (1159, 16, 10)
    assert model.parents == PARENTS
    assert len(model.tips) == 5
    palm = (model.joints[4] - model.joints[0]).norm().item()
    assert 0.07 < palm < 0.11
    # a closed surface: each edge belongs to two faces, once in each direction
    edges = torch.cat([model.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    forth = {tuple(edge) for edge in edges.tolist()}
    assert len(forth) == len(edges)
    assert {(b, a) for a, b in forth} == forth
    # seen from outside, faces are counter-clockwise: the volume is positive
    a, b, c = (model.v_template[model.faces[:, k]] for k in range(3))
    volume = (a * torch.linalg.cross(b, c)).sum() / 6
    assert 2e-4 < volume < 5e-4
