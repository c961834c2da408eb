import numpy as np
import pytest
from helpers import dexycb
from helpers.hand_model import hand_arrays
from helpers.modules import load_script
from mmengine.registry import DATASETS

from mmssm.datasets import dexycb_files
from mmssm.datasets.datasets import dexycb_dataset
from mmssm.structures import hand

KIND = {'type': 'mmssm.DexYCBDataset', 'serialize_data': False}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """An index of the whole data set with one frame of each camera."""
    path = tmp_path_factory.mktemp('dexycb') / 'index.npz'
    np.savez(path, **dexycb.index())
    return str(path)


@pytest.fixture(scope='module')
def part(tmp_path_factory):
    """Two recordings of three subjects by two cameras."""
    return dexycb.write(tmp_path_factory.mktemp('dexycb'))


def build(arguments, **changes):
    return DATASETS.build({**KIND, **arguments, **changes})


def test_samples_hold_what_the_labels_hold(part):
    dataset = build(part, setup='s1', split='val')
    # two recordings, two cameras, two frames; one frame of each has no hand
    assert [dataset[i]['img_id'] for i in range(len(dataset))] == [0, 1, 2, 4, 5, 6]
    for index, (place, camera, frame) in enumerate(
        [(0, 0, 0), (0, 0, 1), (0, 7, 0), (1, 0, 0), (1, 0, 1), (1, 7, 0)]
    ):
        sample = dataset[index]
        end = '/'.join(
            [
                dexycb_files.SUBJECTS[6],
                dexycb.SEQUENCES[place],
                dexycb_files.SERIALS[camera],
                f'color_{frame:06d}.jpg',
            ]
        )
        assert sample['img_path'].endswith(end)
        side = dexycb.side_of(6, place)
        assert sample['hand_type'].tolist() == [[side == 'right', side == 'left']]
        labels = np.load(sample['img_path'].replace('color', 'labels')[:-3] + 'npz')
        joints = sample['keypoints_cam'][0]
        np.testing.assert_array_equal(joints, labels['joint_3d'][0])
        np.testing.assert_array_equal(sample['keypoints'][0], labels['joint_2d'][0])
        flat = joints @ dexycb.K_of(camera).T
        np.testing.assert_allclose(
            sample['keypoints'][0], flat[:, :2] / flat[:, 2:], atol=1e-2
        )
        assert 0.07 < np.linalg.norm(joints[9] - joints[0]) < 0.11
        assert (hand.chirality(joints) > 0) == (side == 'right')
        assert sample['image_size'] == (640, 480)


def test_an_index_says_the_same(part, tmp_path, capsys):
    tool = load_script('tools/dataset_converters/dexycb_index.py')
    path = tmp_path / 'index.npz'
    tool.main([part['data_root'], '--out', str(path), '--partial'])
    assert 'wrote 24 frames' in capsys.readouterr().out
    mano = {'with_mano': True, **models(tmp_path)}
    for setup, split in (('s1', 'train'), ('s2', 'test'), ('s3', 'train')):
        one = build(part, setup=setup, split=split, **mano)
        other = build(part, setup=setup, split=split, index_file=str(path), **mano)
        assert len(one) == len(other) > 0
        for first, second in zip(one, other, strict=True):
            for key in set(first) - {'dataset'}:
                np.testing.assert_array_equal(first[key], second[key], err_msg=key)
    with pytest.raises(SystemExit, match='holds 2 sequences, the data set has 100'):
        tool.main([part['data_root'], '--out', str(path)])
    with pytest.raises(SystemExit, match=r'ends in \.npz'):
        tool.main([part['data_root'], '--out', 'index.txt'])


SIZES = {
    's0': (6400, 2 * 20 * 8, 8 * 20 * 8),
    's1': (5600, 800, 1600),
    's2': (6000, 1000, 1000),
    's3': (6000, 800, 1200),
}


@pytest.mark.parametrize('setup', SIZES)
def test_splits_are_the_official_ones(whole, setup):
    parts = {}
    for split, size in zip(dexycb_files.SPLITS, SIZES[setup], strict=True):
        dataset = build({}, setup=setup, split=split, index_file=whole)
        assert len(dataset) == size
        assert dataset.hands.img_id.tolist() == list(range(size))
        parts[split] = set(dataset.hands.image)
    assert not parts['train'] & parts['test'] and not parts['val'] & parts['test']
    if setup == 's0':
        fifths = {path.split('/')[1] for path in parts['val'] | parts['test']}
        assert fifths == {f'{place:03d}' for place in range(4, 100, 5)}
        assert {path.split('/')[0] for path in parts['val']} == {'s0', 's1'}
    if setup == 's1':
        assert {path.split('/')[0] for path in parts['test']} == {'s7', 's8'}
    if setup == 's2':
        assert {path.split('/')[2] for path in parts['test']} == {'932122062010'}
    if setup == 's3':
        places = {int(path.split('/')[1]) // 5 for path in parts['test']}
        assert places == {7, 11, 15}


def test_a_part_is_refused_unless_the_config_says_so(part, whole, tmp_path):
    with pytest.raises(ValueError, match='subject-07 holds 2 sequences'):
        build({**part, 'partial': False}, setup='s1', split='val')
    with pytest.raises(ValueError, match='holds 0 sequences'):
        build({'data_root': str(tmp_path)})
    with pytest.raises(ValueError, match='no sequence of this split'):
        build({'data_root': str(tmp_path), 'partial': True})
    arrays = dict(np.load(whole))
    kept = arrays['subject'] != 7
    for key in ('subject', 'place', 'name', 'frames', 'right', 'betas'):
        arrays[key] = arrays[key][kept]
    rows = arrays['sequence'] < kept.sum()
    for key in ('sequence', 'camera', 'frame', 'joint_3d', 'joint_2d', 'pose_m'):
        arrays[key] = arrays[key][rows]
    path = tmp_path / 'index.npz'
    np.savez(path, **arrays)
    arguments = {'setup': 's1', 'split': 'test', 'index_file': str(path)}
    with pytest.raises(ValueError, match='holds 0 sequences of 20201002-subject-08'):
        build(arguments)
    assert len(build(arguments, partial=True)) == 800


def spoil_text(name, text):
    return lambda folder: (folder / name).write_text(text)


def spoil_label(key, value):
    def spoil(folder):
        path = folder / LABEL
        arrays = dict(np.load(path))
        arrays.pop(key)
        if value is not None:
            arrays[key] = value
        np.savez(path, **arrays)

    return spoil


RECORDING = f'{dexycb_files.SUBJECTS[6]}/{dexycb.SEQUENCES[0]}'
LABEL = f'{RECORDING}/{dexycb_files.SERIALS[0]}/labels_000001.npz'
META = f'{RECORDING}/meta.yml'
CAMERA = 'calibration/intrinsics/836212060125_640x480.yml'


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda f: (f / META).unlink(), r'meta\.yml does not exist'),
        (lambda f: (f / LABEL).unlink(), r'labels_000001\.npz does not exist'),
        (lambda f: (f / CAMERA).unlink(), r'836212060125_640x480\.yml does not exist'),
        (
            lambda f: (f / LABEL).write_bytes(b'PK\3\4'),
            r'labels_000001\.npz .* damaged',
        ),
        (spoil_label('joint_2d', None), r"labels_000001\.npz: .* lacks \['joint_2d'\]"),
        (spoil_label('joint_3d', np.zeros((1, 20, 3))), r'expected joint_3d of shape'),
        (
            spoil_label('joint_3d', np.full((1, 21, 3), np.nan)),
            r'color_000001\.jpg\): its 3D joints are NaN',
        ),
        (
            spoil_label('joint_2d', np.full((1, 21, 2), 5.0)),
            r'color_000001\.jpg\): its box has no size',
        ),
        (spoil_text(META, 'num_frames: 0\nmano_sides: [left]'), 'num_frames from 1 to'),
        (spoil_text(META, 'num_frames: 2\nmano_sides: [both]'), r"found \['both'\]"),
        (spoil_text(META, 'a: ['), r'meta\.yml .* is damaged'),
        (spoil_text(META, '!!python/object/apply:os.getcwd []'), 'meta.* is damaged'),
        (spoil_text(CAMERA, 'color: {fx: 1, fy: 2, ppx: 3}'), r"lacks \['ppy'\]"),
        (spoil_text(CAMERA, 'color: {fx: a, fy: 2, ppx: 3, ppy: 4}'), 'to be numbers'),
        (
            spoil_text(CAMERA, 'color: {fx: 0, fy: 2, ppx: 3, ppy: 4}'),
            r'color_000000\.jpg\): it has no camera',
        ),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, spoil, message):
    arguments = dexycb.write(tmp_path, subjects=(6,), images=False)
    spoil(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build(arguments, setup='s1', split='val')


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('camera', None, r"lacks \['camera'\]"),
        ('joint_2d', np.zeros((5, 21, 2)), 'expected joint_2d of shape'),
        ('sequence', np.full(8000, 1000), r'sequence must be whole .* \[0, 1000\)'),
        ('camera', np.zeros(8000), 'camera must be whole numbers'),
        ('name', np.zeros(1000), 'expected texts as name'),
        ('intrinsics', np.zeros((7, 4)), 'expected intrinsics of shape'),
    ],
)
def test_an_index_is_checked(whole, tmp_path, key, value, message):
    arrays = dict(np.load(whole))
    arrays.pop(key)
    if value is not None:
        arrays[key] = value
    np.savez(tmp_path / 'index.npz', **arrays)
    with pytest.raises(ValueError, match=message):
        build({'data_root': str(tmp_path), 'index_file': 'index.npz'})


def test_arguments_are_checked():
    for changes in ({'setup': 's4'}, {'split': 'training'}):
        with pytest.raises(ValueError, match='expected a setup out of'):
            build({}, **changes)


def test_hands_of_both_sides_are_samples(part):
    arguments = {**part, 'setup': 's1', 'split': 'val'}
    kinds = {one['hand_type'][0, 0] for one in build(arguments)}
    assert kinds == {0, 1}


def models(folder):
    """Files of two hand models with components."""
    for side, seed in (('right', 0), ('left', 1)):
        arrays = hand_arrays(seed=seed)
        components = np.linalg.qr(np.random.default_rng(seed).normal(size=(45, 45)))[0]
        np.savez(folder / f'{side}.npz', **arrays, hands_components=components)
    return {
        'hand_model': str(folder / 'right.npz'),
        'left_hand_model': str(folder / 'left.npz'),
    }


def test_poses_come_from_the_models_components(part, tmp_path, capsys):
    changes = {'setup': 's1', 'split': 'val', 'with_mano': True, **models(tmp_path)}
    dataset = build(part, **changes)
    sides = set()
    for sample in (dataset[i] for i in range(len(dataset))):
        right = bool(sample['hand_type'][0, 0])
        sides.add(right)
        model = np.load(changes['hand_model' if right else 'left_hand_model'])
        labels = np.load(sample['img_path'].replace('color', 'labels')[:-3] + 'npz')
        stored = labels['pose_m'][0].astype(float)
        fingers = model['hands_mean'] + stored[3:48] @ model['hands_components']
        np.testing.assert_allclose(
            sample['mano_pose'][0], [*stored[:3], *fingers], atol=1e-5
        )
        assert sample['has_mano_pose'] == 1
        # shapes of left hands are of a model that no right hand mirrors
        assert sample['has_betas'] == right
        np.testing.assert_allclose(sample['mano_betas'], 0.6 * right, rtol=1e-6)
    assert sides == {True, False}


def test_without_the_models_poses_are_masked(part, monkeypatch):
    said = []
    monkeypatch.setattr(dexycb_dataset, 'print_log', lambda text, *_: said.append(text))
    dataset = build(part, setup='s1', split='val', with_mano=True)
    sample = dataset[0]
    assert sample['has_mano_pose'] == 0
    assert "MANO's right hand" in said[0] and "MANO's left hand" in said[1]
    assert 'mano_pose' not in build(part, setup='s1', split='val')[0]


def test_an_index_without_poses_serves_all_but_meshes(tmp_path):
    path = tmp_path / 'index.npz'
    arrays = dexycb.index(sequences=2)
    np.savez(path, **{key: arrays[key] for key in set(arrays) - {'pose_m', 'betas'}})
    arguments = {'index_file': str(path), 'setup': 's2', 'partial': True}
    assert len(build(arguments)) > 0
    with pytest.raises(ValueError, match=r'index\.npz lacks pose_m .*made again'):
        build(arguments, with_mano=True)


def test_a_model_without_components_is_refused(part, tmp_path):
    np.savez(tmp_path / 'plain.npz', **hand_arrays())
    with pytest.raises(ValueError, match=r'plain\.npz: expected hands_components'):
        build(
            part,
            setup='s1',
            split='val',
            with_mano=True,
            hand_model=str(tmp_path / 'plain.npz'),
        )


def test_a_calibration_outside_of_the_folder_is_refused(tmp_path):
    arguments = dexycb.write(tmp_path, subjects=(6,), images=False)
    path = tmp_path / dexycb_files.SUBJECTS[6] / dexycb.SEQUENCES[0] / 'meta.yml'
    path.write_text(path.read_text().replace('20200928-subject-07_', '../../x_'))
    with pytest.raises(ValueError, match=r"meta\.yml: expected mano_calib .*'\.\./"):
        build(arguments, setup='s1', split='val')
