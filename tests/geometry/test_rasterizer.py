import cv2
import numpy as np
import pytest

from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.geometry.rasterizer import (
    interpolate,
    rasterize,
    supersampled,
    vertex_normals,
)

CAMERA = np.array([[50.0, 0, 20], [0, 60.0, 16], [0, 0, 1]])
SIZE = (32, 40)


def at_pixels(pixels, depths):
    """Points that project to pixels, at depths."""
    pixels, depths = np.asarray(pixels, float), np.asarray(depths, float)
    homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], 1)
    return (homogeneous * depths[:, None]) @ np.linalg.inv(CAMERA).T


def plane_depth(vertices):
    """Depth of the plane through three points along every pixel's ray."""
    normal = np.cross(vertices[1] - vertices[0], vertices[2] - vertices[0])
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(CAMERA).T
    return (normal @ vertices[0]) / (rays @ normal)


def inside(pixels):
    """Pixel centres strictly within a triangle, by signs of areas."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    signs = []
    for k in range(3):
        (ax, ay), (bx, by) = pixels[k], pixels[(k + 1) % 3]
        signs.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
    return (np.min(signs, 0) > 0) | (np.max(signs, 0) < 0)


def test_depth_and_weights_of_a_slanted_triangle():
    pixels = np.array([[3.2, 2.7], [35.61, 8.17], [11.3, 29.4]])
    vertices = at_pixels(pixels, [0.5, 1.5, 0.9])
    seen = rasterize(vertices, np.array([[0, 1, 2]]), CAMERA, SIZE)
    mask = inside(pixels)
    np.testing.assert_array_equal(seen.mask, mask)
    np.testing.assert_allclose(
        seen.depth[mask], plane_depth(vertices)[mask], rtol=1e-12
    )
    assert np.isinf(seen.depth[~mask]).all()
    np.testing.assert_allclose(seen.weights[mask].sum(-1), 1)
    # the weights are those of the point in space: it projects to its pixel
    points = interpolate(seen, np.array([[0, 1, 2]]), vertices)[mask] @ CAMERA.T
    y, x = np.nonzero(mask)
    np.testing.assert_allclose(points[:, :2] / points[:, 2:], np.stack([x, y], 1))
    assert not seen.weights[~mask].any()


def test_a_square_covers_its_pixels_once():
    # corners on pixel centres: left and top edges belong to it, the others do not
    pixels = [[5, 4], [25, 4], [25, 20], [5, 20]]
    vertices = at_pixels(pixels, [1, 1, 1, 1])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    expected = np.zeros(SIZE, bool)
    expected[4:20, 5:25] = True
    whole = rasterize(vertices, faces, CAMERA, SIZE)
    np.testing.assert_array_equal(whole.mask, expected)
    halves = [rasterize(vertices, faces[k : k + 1], CAMERA, SIZE).mask for k in (0, 1)]
    assert not (halves[0] & halves[1]).any()
    np.testing.assert_array_equal(halves[0] | halves[1], expected)
    np.testing.assert_allclose(whole.depth[expected], 1, rtol=1e-12)


@pytest.mark.parametrize('exact', [False, True])
def test_neighbours_leave_no_gap_and_share_no_pixel(exact):
    rng = np.random.default_rng(0)
    n = 9
    grid = np.stack(np.meshgrid(np.linspace(-5, 45, n), np.linspace(-5, 37, n)), -1)
    grid[1:-1, 1:-1] += rng.uniform(-1.2, 1.2, (n - 2, n - 2, 2))
    depths = rng.uniform(0.5, 2, n * n)
    if exact:
        # edges and corners on centres of pixels, in numbers without rounding
        grid, depths = np.round(grid), np.full(n * n, 0.5)
    camera = np.array([[64.0, 0, 0], [0, 64.0, 0], [0, 0, 1]])
    pixels = np.concatenate([grid.reshape(-1, 2) / 64, np.ones((n * n, 1))], 1)
    vertices = pixels * depths[:, None]
    corner = np.arange(n * n).reshape(n, n)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    faces = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    count = sum(
        rasterize(vertices, face[None], camera, SIZE).mask.astype(int) for face in faces
    )
    np.testing.assert_array_equal(count, 1)
    assert rasterize(vertices, faces, camera, SIZE).mask.all()


def test_the_nearer_face_is_seen_whatever_the_order():
    near = at_pixels([[2, 2], [30, 4], [8, 28]], [1, 1, 1])
    far = at_pixels([[10, 1], [38, 20], [4, 24]], [1.5, 1.5, 1.5])
    vertices = np.concatenate([near, far])
    both = [[0, 1, 2], [3, 4, 5]]
    one = rasterize(vertices, np.array(both), CAMERA, SIZE)
    other = rasterize(vertices, np.array(both[::-1]), CAMERA, SIZE)
    np.testing.assert_array_equal(one.depth, other.depth)
    np.testing.assert_array_equal(one.face == 0, other.face == 1)
    alone = rasterize(near, np.array([[0, 1, 2]]), CAMERA, SIZE)
    np.testing.assert_array_equal(one.face == 0, alone.mask)
    assert (one.face == 1).any()


def test_faces_that_cross_each_other():
    vertices = np.concatenate(
        [
            at_pixels([[1, 1], [39, 1], [20, 31]], [1.0, 3.0, 1.7]),
            at_pixels([[1, 1], [39, 1], [20, 31]], [3.0, 1.0, 1.7]),
        ]
    )
    seen = rasterize(vertices, np.array([[0, 1, 2], [3, 4, 5]]), CAMERA, SIZE)
    first, second = plane_depth(vertices[:3]), plane_depth(vertices[3:])
    mask = seen.mask & (np.abs(first - second) > 1e-9)
    np.testing.assert_array_equal(seen.face[mask], (second < first)[mask].astype(int))
    assert {0, 1} <= set(seen.face[mask].tolist())


def test_of_equal_depths_the_first_face_is_kept():
    vertices = at_pixels([[2, 2], [30, 4], [8, 28]], [1, 1.2, 0.8])
    seen = rasterize(vertices, np.array([[0, 1, 2]] * 3), CAMERA, SIZE)
    assert set(np.unique(seen.face)) == {-1, 0}


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    vertices = at_pixels(rng.uniform(-8, 48, (60, 2)), rng.uniform(0.5, 2, 60))
    faces = rng.permutation(60).reshape(20, 3)
    faces = np.concatenate([faces, faces])
    one = rasterize(vertices, faces, CAMERA, SIZE)
    monkeypatch.setattr('mmssm.geometry.rasterizer._BLOCK', 7)
    other = rasterize(vertices, faces, CAMERA, SIZE)
    np.testing.assert_array_equal(one.face, other.face)
    np.testing.assert_array_equal(one.weights, other.weights)


@pytest.mark.parametrize(
    ('pixels', 'depths'),
    [
        ([[-30, 2], [-3, 4], [-8, 28]], [1, 1, 1]),
        ([[2, 50], [30, 60], [8, 44]], [1, 1, 1]),
        ([[2, 2], [30, 4], [8, 28]], [-1, -1, -1]),
        ([[2, 2], [30, 4], [8, 28]], [5e-4, 5e-4, 5e-4]),
        ([[2, 2], [10, 10], [20, 20]], [1, 1, 1]),
        ([[2.2, 2.2], [2.4, 2.2], [2.3, 2.6]], [1, 1, 1]),
    ],
    ids=['left', 'below', 'behind', 'too near', 'a line', 'between pixels'],
)
def test_nothing_to_see(pixels, depths):
    seen = rasterize(at_pixels(pixels, depths), np.array([[0, 1, 2]]), CAMERA, SIZE)
    assert not seen.mask.any()
    assert np.isinf(seen.depth).all()


def test_no_faces():
    seen = rasterize(np.zeros((0, 3)), np.zeros((0, 3), int), CAMERA, SIZE)
    assert not seen.mask.any()


def test_a_floor_that_reaches_behind_the_camera():
    # the plane y = 0.5, from 2 m behind the camera to 40 m before it
    vertices = np.array([[-30, 0.5, -2], [30, 0.5, -2], [0, 0.5, 40]])
    seen = rasterize(vertices, np.array([[0, 1, 2]]), CAMERA, SIZE)
    y = np.arange(SIZE[0])
    floor = 0.5 * CAMERA[1, 1] / np.maximum(y - CAMERA[1, 2], 1e-9)
    reached = (y > CAMERA[1, 2]) & (floor < 30)
    column = seen.depth[:, 20]
    np.testing.assert_allclose(column[reached], floor[reached], rtol=1e-9)
    assert np.isinf(column[y <= CAMERA[1, 2]]).all()


def test_near_cuts_through_a_face():
    vertices = np.array([[-30, 0.5, -2], [30, 0.5, -2], [0, 0.5, 40]])
    seen = rasterize(vertices, np.array([[0, 1, 2]]), CAMERA, SIZE, near=3.0)
    assert seen.depth.min() >= 3
    assert seen.depth.min() < 3.4


def test_backs_are_left_out_on_request():
    vertices = at_pixels([[2, 2], [30, 4], [8, 28]], [1, 1, 1])
    normal = np.cross(vertices[1] - vertices[0], vertices[2] - vertices[0])
    front = [0, 1, 2] if normal[2] < 0 else [0, 2, 1]
    for face, shown in ((front, True), (front[::-1], False)):
        seen = rasterize(vertices, np.array([face]), CAMERA, SIZE, cull_back=True)
        assert seen.mask.any() == shown
        assert rasterize(vertices, np.array([face]), CAMERA, SIZE).mask.any()


def test_a_closed_mesh_looks_alike_without_its_backs():
    model = load_hand_model(free_hand_file())
    vertices = model.v_template.double().numpy() + np.array([0.02, 0, 0.4])
    camera = np.array([[120.0, 0, 40], [0, 120.0, 40], [0, 0, 1]])
    whole = rasterize(vertices, model.faces.numpy(), camera, (80, 80))
    fronts = rasterize(vertices, model.faces.numpy(), camera, (80, 80), cull_back=True)
    np.testing.assert_array_equal(whole.depth, fronts.depth)
    assert 500 < whole.mask.sum() < 4000


@pytest.mark.skipif(not hasattr(cv2, 'triangleRasterizeDepth'), reason='needs OpenCV 5')
def test_agrees_with_opencv_on_a_hand():
    model = load_hand_model(free_hand_file())
    vertices = model.v_template.double().numpy() @ np.eye(3)[[2, 0, 1]].T
    vertices = vertices - vertices.mean(0) + [0, 0, 0.45]
    side, focal = 96, 190.0
    centre = (side - 1) / 2
    camera = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
    seen = rasterize(vertices, model.faces.numpy(), camera, (side, side))
    theirs = cv2.triangleRasterizeDepth(
        (vertices * [1, -1, -1]).astype(np.float32)[:, None],
        model.faces.numpy().astype(np.int32)[:, None],
        np.full((side, side), 9, np.float32),
        np.eye(4, dtype=np.float32),
        2 * np.arctan(side / 2 / focal),
        0.01,
        9.0,
    )
    np.testing.assert_array_equal(seen.mask, theirs < 8.9)
    np.testing.assert_allclose(theirs[seen.mask], seen.depth[seen.mask], atol=1e-5)


def test_normals_point_outwards_and_weigh_by_area():
    # a tetrahedron's corner at the origin: three faces on the axes' planes
    vertices = np.array([[0, 0, 0], [2.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    normals = vertex_normals(vertices, faces)
    expected = np.array([-0.5, -1, -1])  # areas of the faces on x, y, z
    np.testing.assert_allclose(normals[0], expected / np.linalg.norm(expected))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    lonely = vertex_normals(np.zeros((2, 3)), np.zeros((0, 3), int))
    assert not lonely.any()


def test_finer_pictures_average_to_coarse_ones():
    fine = supersampled(CAMERA, 4)
    point = np.array([0.1, -0.05, 0.9])
    coarse_pixel = (CAMERA @ point)[:2] / point[2]
    fine_pixel = (fine @ point)[:2] / point[2]
    # centres 0 to 3 of the fine picture are the coarse pixel 0
    np.testing.assert_allclose(fine_pixel, 4 * coarse_pixel + 1.5)
    np.testing.assert_array_equal(supersampled(CAMERA, 1), CAMERA)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'vertices': np.zeros((3, 2))}, r'vertices must have shape \(V, 3\)'),
        ({'vertices': np.full((3, 3), np.nan)}, 'vertices must be finite, vertex 0'),
        ({'faces': np.zeros((1, 4), int)}, r'faces must have shape \(F, 3\)'),
        ({'faces': np.zeros((1, 3))}, 'faces must hold whole numbers'),
        ({'faces': np.array([[0, 1, 3]])}, 'vertex numbers 0 to 2, got 0 to 3'),
        ({'faces': np.array([[0, 1, -1]])}, 'vertex numbers 0 to 2, got -1 to 1'),
        ({'camera': np.eye(4)}, 'camera must be a'),
        ({'camera': np.ones((3, 3))}, 'camera must be a'),
        ({'size': (0, 5)}, 'size must be a height and a width'),
        ({'near': 0.0}, 'near must be positive'),
    ],
)
def test_refuses_what_it_cannot_draw(changes, message):
    arguments = {
        'vertices': np.ones((3, 3)),
        'faces': np.array([[0, 1, 2]]),
        'camera': CAMERA,
        'size': SIZE,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        rasterize(**arguments)
