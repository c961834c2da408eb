import numpy as np
import pytest
from helpers import hands, nyu
from mmengine.registry import DATASETS, TRANSFORMS
from PIL import Image
from scipy.io import savemat

from mmssm.datasets import nyu_files
from mmssm.datasets.transforms.checked_image import UnreadableImage
from mmssm.datasets.transforms.depth_image import decode_depth
from mmssm.structures.hand import NYU_EVALUATED

JOINTS = list(NYU_EVALUATED.values())
PIPELINE = [
    {'type': 'mmssm.LoadDepthImage'},
    {'type': 'GetBBoxCenterScale', 'padding': 1.0},
    {'type': 'mmssm.TopdownDepthAffine', 'input_size': (96, 96)},
    {'type': 'mmssm.NormalizeDepth'},
]


def build(folder, arrays=None, view=1, **changes):
    arguments = nyu.write(folder, arrays, view=view)
    return DATASETS.build(
        {'type': 'mmssm.NYUHandDataset', **arguments, 'view': view, **changes}
    )


@pytest.mark.parametrize('view', [1, 3])
def test_samples_hold_what_the_files_hold(tmp_path, view):
    arrays = nyu.data()
    dataset = build(tmp_path, arrays, view)
    assert len(dataset) == 3
    for index in range(3):
        sample = dataset[index]
        assert sample['img_id'] == index + 1
        end = f'train/depth_{view}_{index + 1:07d}.png'
        assert sample['img_path'].endswith(end)
        uvd = arrays['joint_uvd'][view - 1, index, JOINTS]
        np.testing.assert_allclose(sample['keypoints'][0], uvd[:, :2], rtol=1e-6)
        # the file's y points up, and it is in millimetres
        xyz = arrays['joint_xyz'][view - 1, index, JOINTS] * [1e-3, -1e-3, 1e-3]
        joints = sample['keypoints_cam'][0]
        np.testing.assert_allclose(joints, xyz, atol=1e-6)
        plane = joints[:, :2] / joints[:, 2:] * sample['focal']
        np.testing.assert_allclose(
            sample['keypoints'][0], plane + sample['principal_pt'], atol=1e-3
        )
        assert sample['root_index'] == 13 == dataset.metainfo['root_index']
        np.testing.assert_allclose(sample['cube_center'][0], joints.mean(0), atol=1e-6)
    uvd, xyz = nyu_files.read_joints(str(tmp_path), 'train', view)
    np.testing.assert_allclose(
        nyu_files.to_camera(uvd, nyu.FOCAL, nyu.PRINCIPAL), xyz, atol=1e-9
    )


def test_cubes_and_centres(tmp_path, monkeypatch):
    monkeypatch.setattr(nyu_files, 'FIRST_SUBJECT', 1)
    arrays = nyu.data()
    arguments = nyu.write(tmp_path, arrays, 'test')
    dataset = DATASETS.build(
        {
            'type': 'mmssm.NYUHandDataset',
            **arguments,
            'cube': (0.22, 0.22, 0.3),
            'second_cube': (0.25, 0.25, 0.25),
            'center_file': 'nyu_center_test.mat',
        }
    )
    expected = nyu.centers(arrays)['centre_pixel'][:, 0]
    for index, size in enumerate([(0.22, 0.22, 0.3)] + [(0.25, 0.25, 0.25)] * 2):
        sample = dataset[index]
        np.testing.assert_allclose(sample['cube_size'], [size])
        u, v, d = expected[index]
        assert sample['cube_center'][0, 2] == pytest.approx(d / 1000)
        low, high = sample['bbox'][0, :2], sample['bbox'][0, 2:]
        np.testing.assert_allclose((low + high) / 2, (u, v), rtol=1e-5)
        np.testing.assert_allclose(
            high - low, size[:2] * nyu.FOCAL / d * 1000, rtol=1e-5
        )


def test_the_documented_frame(tmp_path):
    """Test frame 1 as A2J distributes it: pixels and millimetres."""
    metres = nyu_files.to_camera(
        np.array([217.14, 249.91, 762.0]), nyu.FOCAL, nyu.PRINCIPAL
    )
    np.testing.assert_allclose(metres, [-0.1333, 0.01286, 0.762], atol=1e-4)


def test_depth_is_decoded_cropped_and_normalised(tmp_path):
    dataset = build(tmp_path, pipeline=PIPELINE, center_file='nyu_center_train.mat')
    plain = build(tmp_path, pipeline=PIPELINE[:1])
    arrays = nyu.data()
    for index in range(3):
        uvd = arrays['joint_uvd'][0, index, JOINTS]
        depth = nyu.depth_image(uvd)
        image = plain[index]['img']
        np.testing.assert_array_equal(image, depth.astype(np.float32) / 1000)
        assert image.dtype == np.float32
        sample = dataset[index]
        crop, center = sample['img'], sample['cube_center'][0, 2]
        assert crop.shape == (96, 96) and crop.dtype == np.float32
        # nothing between the depths that are there
        values = np.append(np.unique(depth), 0) / 1000
        normal = ((values - center) / 0.15).clip(-1, 1)
        normal[values == 0] = 1
        distance = np.abs(np.unique(crop)[:, None] - normal).min(1)
        assert distance.max() < 1e-5
        # each joint is found where it was moved to, or hidden by a nearer one
        for (x, y), joint in zip(sample['transformed_keypoints'][0], uvd, strict=True):
            found = crop[round(float(y)), round(float(x))]
            wanted = (round(joint[2]) / 1000 - center) / 0.15
            assert found <= np.clip(wanted, -1, 1) + 1e-5
        assert (crop == 1).mean() > 0.1


def test_what_lies_outside_of_the_cube():
    depth = np.array([[0, 0.5, 0.65, 0.7, 0.75, 0.9]], np.float32)
    cube = {'cube_center': np.array([[0, 0, 0.7]]), 'cube_size': np.full((1, 3), 0.2)}
    for outside, expected in (
        ('faces', [1, -1, -0.5, 0, 0.5, 1]),
        ('center', [0, 0, -0.5, 0, 0.5, 0]),
    ):
        step = TRANSFORMS.build({'type': 'mmssm.NormalizeDepth', 'outside': outside})
        found = step({'img': depth.copy(), **cube})['img']
        np.testing.assert_allclose(found, [expected], atol=1e-6)
    with pytest.raises(ValueError, match="got 'mean'"):
        TRANSFORMS.build({'type': 'mmssm.NormalizeDepth', 'outside': 'mean'})
    with pytest.raises(ValueError, match=r"a\.png has no \['cube_size'\]"):
        step({'img': depth, 'img_path': 'a.png', 'cube_center': 0})


def test_two_bytes_do_not_overflow():
    image = np.zeros((1, 4, 3), np.uint8)
    image[0, :, 1] = 0, 2, 125, 255
    image[0, :, 0] = 0, 250, 1, 255
    image[0, :, 2] = 77
    found = decode_depth(image, (0, 32001))
    np.testing.assert_allclose(found, [[0, 0.762, 0, 65.535]])


def test_crops_need_depth(tmp_path):
    step = TRANSFORMS.build(PIPELINE[2])
    with pytest.raises(ValueError, match=r'depth image \(H, W\), found .* of a\.png'):
        step({'img': np.zeros((4, 4, 3)), 'img_path': 'a.png'})
    with pytest.raises(ValueError, match='at least 1, got 0'):
        TRANSFORMS.build({'type': 'mmssm.LoadDepthImage', 'max_pixels': 0})


def test_spoiled_depth_images_are_named(tmp_path):
    dataset = build(tmp_path, pipeline=PIPELINE[:1])
    path = tmp_path / 'train/depth_1_0000002.png'
    Image.new('I;16', (640, 480)).save(path)
    with pytest.raises(
        UnreadableImage, match=r'0000002\.png of sample 1: .*three chan'
    ):
        dataset[1]
    nyu.save_depth(path, np.zeros((48, 64), np.int32))
    with pytest.raises(UnreadableImage, match='64 x 48 pixels, the annotations are f'):
        dataset[1]
    path.unlink()
    with pytest.raises(UnreadableImage, match=r'0000002\.png of sample 1: there is no'):
        dataset[1]
    hands.save_image(path, 640, 480)
    assert dataset[1]['img'].shape == (480, 640)


def without(key):
    return lambda arrays: arrays.pop(key)


def change(key, spoil):
    return lambda arrays: arrays.update({key: spoil(arrays[key])})


def put(array, place, value):
    array[place] = value
    return array


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (without('joint_uvd'), r"joint_data\.mat: the file lacks \['joint_uvd'\]"),
        (change('joint_xyz', lambda a: a[0]), r'joint_xyz of shape .*found \(3, 36, 3'),
        (
            change('joint_xyz', lambda a: a[:, :2]),
            r'joint_xyz of shape \(3, 3, 36, 3\)',
        ),
        (change('joint_uvd', lambda a: a[:, :, :14]), r'joint_uvd of shape'),
        (change('joint_uvd', lambda a: a.astype(str)), r'joint_data\.mat: expected'),
        (
            change('joint_uvd', lambda a: put(a, (0, 1), np.nan)),
            r'entry 1 \(.*depth_1_0000002\.png\): its 3D joints are NaN',
        ),
        (
            change('joint_uvd', lambda a: put(a, (0, 2, 3, 2), -5)),
            r'entry 2 \(.*depth_1_0000003\.png\): a joint lies behind',
        ),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, spoil, message):
    arguments = nyu.write(tmp_path)
    arrays = nyu.data()
    spoil(arrays)
    savemat(tmp_path / 'train/joint_data.mat', arrays)
    with pytest.raises(ValueError, match=message):
        DATASETS.build({'type': 'mmssm.NYUHandDataset', **arguments})


def test_views_and_files_are_checked(tmp_path):
    arrays = {key: array[:1] for key, array in nyu.data().items()}
    nyu.write(tmp_path, arrays)
    settings = {'type': 'mmssm.NYUHandDataset', 'data_root': str(tmp_path)}
    with pytest.raises(
        ValueError, match=r'expected view 2 .*found an array of shape \(1'
    ):
        DATASETS.build({**settings, 'view': 2})
    with pytest.raises(FileNotFoundError, match=r'test/joint_data\.mat does not exist'):
        DATASETS.build({**settings, 'split': 'test'})
    with pytest.raises(FileNotFoundError, match=r'none\.mat does not exist'):
        DATASETS.build({**settings, 'center_file': 'none.mat'})
    path = tmp_path / 'train/joint_data.mat'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r'joint_data\.mat .* damaged'):
        DATASETS.build(settings)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'split': 'val'}, "got 'val'"),
        ({'view': 4}, 'got 4'),
        ({'cube': (0.3, 0.3)}, 'cube must be three positive sizes'),
        ({'second_cube': (0.3, 0.3, 0)}, 'second_cube must be three positive sizes'),
        ({'focal': (0, 1)}, 'focal and principal_pt must be two numbers'),
    ],
)
def test_arguments_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        DATASETS.build({'type': 'mmssm.NYUHandDataset', **changes})
