import numpy as np
import pytest

from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.geometry.mesh_files import join_meshes, save_mesh
from mmssm.geometry.rasterizer import outward_faces, vertex_normals

VERTICES = np.array([[0, 0, 0.5], [1.25, 0, 0], [0, -1, 1e-7], [3, 2, 1]])
FACES = np.array([[0, 1, 2], [0, 3, 1]])


def read_obj(path):
    rows = [line.split() for line in path.read_text().splitlines()]
    vertices = [list(map(float, row[1:])) for row in rows if row[0] == 'v']
    faces = [list(map(int, row[1:])) for row in rows if row[0] == 'f']
    return np.array(vertices), np.array(faces) - 1


def read_ply(path):
    header, body = path.read_bytes().split(b'end_header\n', 1)
    counts = [
        int(line.split()[2]) for line in header.splitlines() if b'element' in line
    ]
    vertices = np.frombuffer(body, '<f4', 3 * counts[0]).reshape(-1, 3)
    rows = np.frombuffer(body[vertices.nbytes :], np.uint8).reshape(counts[1], 13)
    assert (rows[:, 0] == 3).all()
    return vertices, rows[:, 1:].copy().view('<i4')


def test_obj_and_ply_hold_the_mesh(tmp_path):
    for suffix, read, rounding in (('obj', read_obj, 1e-9), ('ply', read_ply, 1e-7)):
        path = tmp_path / 'folder' / f'hand.{suffix}'
        save_mesh(path, VERTICES, FACES)
        vertices, faces = read(path)
        np.testing.assert_allclose(vertices, VERTICES, rtol=rounding)
        np.testing.assert_array_equal(faces, FACES)


def test_several_hands_become_one_mesh():
    vertices, faces = join_meshes([(VERTICES, FACES), (VERTICES + 1, FACES[:1])])
    np.testing.assert_array_equal(vertices, np.concatenate([VERTICES, VERTICES + 1]))
    np.testing.assert_array_equal(faces, [[0, 1, 2], [0, 3, 1], [4, 5, 6]])
    vertices, faces = join_meshes([])
    assert vertices.shape == faces.shape == (0, 3)


NAN = VERTICES.copy()
NAN[2, 1] = np.nan


@pytest.mark.parametrize(
    ('name', 'vertices', 'faces', 'message'),
    [
        ('hand.stl', VERTICES, FACES, r'hand\.stl: .* \.obj or \.ply'),
        ('a.obj', VERTICES[:, :2], FACES, r'\(V, 3\), got \(4, 2\)'),
        ('a.obj', NAN, FACES, 'vertex 2 is'),
        ('a.ply', VERTICES, FACES.astype(float), 'got float64'),
        ('a.ply', VERTICES, FACES + 1, 'numbers 0 to 3, got 1 to 4'),
    ],
)
def test_refuses_what_is_no_mesh(tmp_path, name, vertices, faces, message):
    with pytest.raises(ValueError, match=message):
        save_mesh(tmp_path / name, vertices, faces)
    assert not list(tmp_path.iterdir())


def test_faces_of_a_mirrored_hand_look_outwards():
    hand = load_hand_model(free_hand_file())
    vertices, faces = hand.v_template.numpy(), hand.faces.numpy()
    np.testing.assert_array_equal(outward_faces(vertices, faces), faces)
    open_wrist = faces[vertices[faces][..., 0].max(1) < 0.05]
    assert 0 < len(open_wrist) < len(faces)
    np.testing.assert_array_equal(outward_faces(vertices, open_wrist), open_wrist)
    mirrored = vertices * [-1, 1, 1]
    turned = outward_faces(mirrored, faces)
    np.testing.assert_array_equal(turned, faces[:, ::-1])
    np.testing.assert_allclose(
        vertex_normals(mirrored, turned),
        vertex_normals(vertices, faces) * [-1, 1, 1],
        atol=1e-12,
    )
