import os
import pickle
import tarfile

import numpy as np
import pytest
from helpers import hamer
from helpers.modules import load_script
from mmengine.registry import DATASETS, TRANSFORMS
from torch.utils.data import DataLoader

NPZ = {'type': 'mmssm.HandMeshNpzDataset', 'serialize_data': False}
TAR = {'type': 'mmssm.HandMeshTarDataset', 'serialize_data': False}


def tars(folder, contents=None, **changes):
    hamer.write_tar(folder / '000000.tar', contents)
    return DATASETS.build({**TAR, 'data_root': str(folder), **changes})


def entries(contents):
    """Every hand of a tar's members, with its image."""
    for name, data in contents.items():
        if name.endswith('.pyd'):
            for one in pickle.loads(data):
                yield one, contents[name.replace('.data.pyd', '.jpg')]


def test_npz_samples_hold_what_the_file_holds(tmp_path):
    arrays = hamer.npz()
    dataset = DATASETS.build({**NPZ, **hamer.write_npz(tmp_path, arrays)})
    assert len(dataset) == 3
    for number, sample in enumerate(dataset):
        assert sample['img_path'] == str(tmp_path / f'images/rgb/{number}.jpg')
        flat = arrays['hand_keypoints_2d'][number]
        space = arrays['hand_keypoints_3d'][number]
        np.testing.assert_array_equal(sample['keypoints'][0], flat[:, :2])
        np.testing.assert_array_equal(sample['keypoints_visible'][0], flat[:, 2])
        np.testing.assert_array_equal(sample['keypoints_cam'][0], space[:, :3])
        np.testing.assert_array_equal(sample['keypoints_cam_weights'][0], space[:, 3])
        box = sample['bbox'][0]
        np.testing.assert_allclose(
            (box[:2] + box[2:]) / 2, arrays['center'][number], rtol=1e-5
        )
        np.testing.assert_allclose(
            box[2:] - box[:2], arrays['scale'][number], rtol=1e-4
        )
        assert sample['hand_type'].tolist() == [[number != 1, number == 1]]
        assert sample['has_mano_pose'] == (number < 2)
        assert sample['has_betas'] == (number == 0)
        assert 'focal' not in sample
    np.testing.assert_array_equal(
        dataset[0]['mano_pose'][0], arrays['hand_pose'][0].astype(np.float32)
    )
    assert not dataset[2]['mano_pose'].any()


def test_npz_files_may_lack_what_is_optional(tmp_path):
    arrays = hamer.npz()
    for key in ('right', 'hand_pose', 'has_hand_pose', 'betas', 'has_betas'):
        arrays.pop(key)
    arrays['scale'] = arrays['scale'].max(1)
    arrays['imgname'] = np.array(['rgb/0.jpg', b'rgb/1.jpg', 'rgb/2.jpg'], object)
    arrays.pop('extra_info')
    dataset = DATASETS.build({**NPZ, **hamer.write_npz(tmp_path, arrays)})
    sample = dataset[1]
    assert sample['hand_type'].tolist() == [[1, 0]] and 'mano_pose' not in sample
    size = sample['bbox'][0, 2:] - sample['bbox'][0, :2]
    np.testing.assert_allclose(size, arrays['scale'][1], rtol=1e-4)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('center', None, r"test\.npz: the file lacks \['center'\]"),
        ('center', np.zeros((3, 3)), r'expected center of shape \(frames, 2\)'),
        ('scale', np.zeros((2, 2)), r'expected scale of shape \(3, 2\)'),
        ('scale', np.zeros(3), 'its box has no size'),
        ('scale', np.full(3, np.nan), 'its box has no size'),
        ('hand_keypoints_2d', np.zeros((3, 20, 3)), r'of shape \(3, 21, 3\)'),
        ('hand_pose', np.full((3, 48), np.nan), 'its mano_pose is NaN'),
        ('imgname', np.array(['a', '../../b', 'c']), r"names '\.\./\.\./b', which may"),
        ('imgname', np.array(['a', '/etc/b', 'c']), "names '/etc/b', which may"),
        ('imgname', np.array([1, 2, 3], object), 'expected texts as imgname'),
        ('right', np.ones(4), r'expected right of shape \(3\)'),
    ],
)
def test_npz_files_that_do_not_hold_are_named(tmp_path, key, value, message):
    arrays = hamer.npz()
    arrays[key] = value
    if value is None:
        arrays.pop(key)
    hamer.write_npz(tmp_path)
    np.savez(tmp_path / 'test.npz', **arrays)
    with pytest.raises(ValueError, match=message):
        DATASETS.build({**NPZ, 'data_root': str(tmp_path), 'ann_file': 'test.npz'})


class Hostile:
    def __reduce__(self):
        return os.system, ('touch hostile',)


def test_pickles_that_ask_for_code_run_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = {**hamer.npz(), 'imgname': np.array([Hostile()] * 3, object)}
    with pytest.raises(ValueError, match=r'test\.npz .*asks for posix\.system'):
        DATASETS.build({**NPZ, **hamer.write_npz(tmp_path / 'npz', arrays)})
    contents = hamer.members(images=1)
    contents['set/000.data.pyd'] = pickle.dumps([{'center': Hostile()}])
    with pytest.raises(ValueError, match=r'000\.data\.pyd .*asks for posix\.system'):
        tars(tmp_path / 'tar', contents)
    assert not list(tmp_path.rglob('hostile'))


def test_tar_samples_hold_what_the_tars_hold(tmp_path):
    contents = hamer.members()
    hamer.write_tar(tmp_path / '000001.tar', hamer.members(seed=5))
    dataset = tars(tmp_path, contents)
    assert len(dataset) == 6
    load = TRANSFORMS.build({'type': 'mmssm.LoadCheckedImage'})
    for number, (entry, image) in enumerate(entries(contents)):
        sample = dataset[number]
        assert sample['img_bytes'] == image
        assert sample['img_path'].startswith(str(tmp_path / '000000.tar'))
        flat, space = entry['keypoints_2d'], entry['keypoints_3d']
        np.testing.assert_array_equal(sample['keypoints'][0], flat[:, :2])
        np.testing.assert_array_equal(sample['keypoints_cam'][0], space[:, :3])
        box = sample['bbox'][0]
        np.testing.assert_allclose(box[2:] - box[:2], 200 * entry['scale'], rtol=1e-4)
        np.testing.assert_array_equal(sample['mano_pose'][0], entry['hand_pose'])
        np.testing.assert_array_equal(sample['mano_betas'][0], entry['betas'])
        assert sample['hand_type'][0, 0] == entry['right']
        assert sample['has_mano_pose'] == 1 and sample['has_betas'] == 1
        loaded = load(sample)
        assert loaded['img'].shape == (120, 160, 3) and 'img_bytes' not in loaded


def test_hands_are_filtered_as_hamer_does(tmp_path):
    rng = np.random.default_rng(0)
    hands = [
        hamer.entry(rng),
        hamer.entry(rng, confident=4),
        hamer.entry(rng, confident=5),
        hamer.entry(rng, loss=31000),
        hamer.entry(rng, loss=None),
        hamer.entry(rng, known=False),
        hamer.entry(rng),
    ]
    hands[5]['has_hand_pose'] = np.array([1.0])  # a pose without a shape
    hands[6]['betas'][3] = -3.5
    contents = {'a.jpg': hamer.picture(), 'a.data.pyd': pickle.dumps(hands)}
    dataset = tars(tmp_path, contents)
    known = [
        (info['has_mano_pose'].item(), info['has_betas'].item()) for info in dataset
    ]
    assert known == [(1, 1), (1, 1), (1, 1), (0, 0), (0, 0)]
    assert len(tars(tmp_path, contents, min_joints=1, max_fitting_loss=1e9)) == 7
    assert tars(tmp_path, contents, max_beta=4)[4]['has_betas'] == 1


def test_an_index_says_the_same_and_workers_agree(tmp_path, capsys):
    one = tars(tmp_path, hamer.members(images=3))
    tool = load_script('tools/dataset_converters/hamer_index.py')
    tool.main([str(tmp_path)])
    assert 'wrote 6 hands' in capsys.readouterr().out
    other = DATASETS.build(
        {**TAR, 'data_root': str(tmp_path), 'index_file': 'index.npz'}
    )
    loader = DataLoader(other, num_workers=2, collate_fn=lambda batch: batch[0])
    for first, second in zip(one, loader, strict=True):
        for key in set(first) - {'dataset'}:
            np.testing.assert_array_equal(first[key], second[key], err_msg=key)
    hamer.write_tar(tmp_path / '000000.tar', hamer.members(images=4))
    with pytest.raises(ValueError, match=r'was made for a .*000000\.tar of'):
        DATASETS.build({**TAR, 'data_root': str(tmp_path), 'index_file': 'index.npz'})
    with pytest.raises(SystemExit, match=r'no \.tar files'):
        tool.main([str(tmp_path / 'nothing')])
    with pytest.raises(SystemExit, match=r'ends in \.npz'):
        tool.main([str(tmp_path), '--name', 'index'])


def link(name, kind, target='/etc/passwd'):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ('names', 'extra', 'message'),
    [
        (['../a.jpg'], [], r"a member names '\.\./a\.jpg', which may lie outside"),
        (['/tmp/a.jpg'], [], "a member names '/tmp/a.jpg', which may"),
        (['x/../../a.jpg'], [], 'which may lie outside'),
        (['C:\\a.jpg'], [], 'which may lie outside'),
        ([], [link('a.jpg', tarfile.SYMTYPE)], r'a\.jpg is a link, a device'),
        ([], [link('a.jpg', tarfile.LNKTYPE)], 'is a link'),
        ([], [link('a.jpg', tarfile.CHRTYPE)], 'is a link, a device'),
        (['b.jpg'], [], r'expected an image and a data\.pyd named b'),
        (['c.data.pyd'], [], r'expected an image and a data\.pyd named c'),
    ],
)
def test_members_that_lead_elsewhere_are_refused(tmp_path, names, extra, message):
    contents = {**hamer.members(images=1), **dict.fromkeys(names, b'data')}
    folder = tmp_path / 'deep/set'
    hamer.write_tar(folder / '0.tar', contents, extra)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(ValueError, match=message):
        DATASETS.build({**TAR, 'data_root': str(folder)})
    assert sorted(tmp_path.rglob('*')) == before


def test_folders_and_other_files_of_a_tar_are_left_alone(tmp_path):
    folder = tarfile.TarInfo('.')
    folder.type = tarfile.DIRTYPE
    contents = {f'./{name}': data for name, data in hamer.members().items()}
    contents['./set/000.detection.npz'] = b'not read'
    hamer.write_tar(tmp_path / '0.tar', contents, [folder])
    assert len(DATASETS.build({**TAR, 'data_root': str(tmp_path)})) == 3


def test_members_of_absurd_sizes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr('mmssm.datasets.hamer_files.MAX_DATA_BYTES', 500)
    with pytest.raises(ValueError, match=r'000\.data\.pyd has .* bytes, expected 1 to'):
        tars(tmp_path)
    contents = hamer.members(images=1)
    contents['set/000.jpg'] = b''
    with pytest.raises(ValueError, match=r'000\.jpg has 0 bytes'):
        tars(tmp_path, contents)


def spoiled(**changes):
    one = hamer.entry(np.random.default_rng(0))
    for key, value in changes.items():
        if value is None:
            one.pop(key)
        else:
            one[key] = value
    return [one]


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        ({'keypoints_2d': 1}, 'expected the member to be a list, found dict'),
        ([3], r'hand 0: expected the hand to be a dict'),
        ([{}] * 1001, 'expected at most 1000 hands'),
        (spoiled(center=None), r"lacks \['center'\]"),
        (spoiled(keypoints_2d=np.zeros((20, 3))), r'keypoints_2d of shape \(21, 3\)'),
        (spoiled(hand_pose=np.zeros(45)), r'hand_pose of shape \(48\)'),
        (spoiled(right='yes'), 'expected right to be one number'),
    ],
)
def test_annotations_that_do_not_hold_are_named(tmp_path, data, message):
    contents = {'a.jpg': hamer.picture(), 'a.data.pyd': pickle.dumps(data)}
    with pytest.raises(ValueError, match=rf'000000\.tar, a\.data\.pyd.*{message}'):
        tars(tmp_path, contents)


@pytest.mark.parametrize(
    'changes',
    [
        {'hand_pose': np.full(48, np.nan, np.float32)},
        {'keypoints_3d': np.full((21, 4), np.inf, np.float32)},
        {'center': np.full(2, np.nan)},
        {'scale': np.zeros(2)},
    ],
)
def test_numbers_that_are_nan_are_named_or_left_out(tmp_path, changes):
    data = [*spoiled(), *spoiled(**changes)]
    contents = {'a.jpg': hamer.picture(), 'a.data.pyd': pickle.dumps(data)}
    with pytest.raises(ValueError, match=r'000000\.tar, byte .*hand 1: NaN, or'):
        tars(tmp_path, contents)
    assert len(tars(tmp_path, contents, invalid='skip')) == 1
    with pytest.raises(ValueError, match="invalid must be 'raise' or 'skip'"):
        tars(tmp_path, contents, invalid='ignore')


def test_a_tar_that_changed_is_named_when_a_hand_is_asked_for(tmp_path):
    dataset = tars(tmp_path)
    path, span = tmp_path / '000000.tar', dataset.index.data[0]
    whole = bytearray(path.read_bytes())
    whole[span[0] : span[0] + 20] = bytes(20)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r'000000\.tar, byte .* was not read'):
        dataset[0]


def test_a_tar_cut_short_is_named(tmp_path):
    hamer.write_tar(tmp_path / '0.tar')
    whole = (tmp_path / '0.tar').read_bytes()
    for length in (100, len(whole) // 2, 1500):
        (tmp_path / '0.tar').write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r'0\.tar'):
            DATASETS.build({**TAR, 'data_root': str(tmp_path)})
    dataset = tars(tmp_path / 'other')
    path = tmp_path / 'other/000000.tar'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match='the file ends after'):
        dataset[0]


@pytest.mark.parametrize('mode', ['L', 'RGBA'])
def test_grey_and_transparent_images_become_colour(tmp_path, mode):
    ending = 'png' if mode == 'RGBA' else 'jpg'
    contents = {
        f'a.{ending}': hamer.picture(mode=mode),
        'a.data.pyd': pickle.dumps([hamer.entry(np.random.default_rng(0))]),
    }
    sample = tars(tmp_path, contents)[0]
    loaded = TRANSFORMS.build({'type': 'mmssm.LoadCheckedImage'})(sample)
    assert loaded['img'].shape == (120, 160, 3) and loaded['img'].dtype == np.uint8


def test_an_image_bomb_is_not_decoded(tmp_path):
    contents = {
        'a.jpg': hamer.picture(),
        'a.data.pyd': pickle.dumps([hamer.entry(np.random.default_rng(0))]),
    }
    sample = tars(tmp_path, contents)[0]
    strict = {'type': 'mmssm.LoadCheckedImage', 'max_pixels': 1000}
    with pytest.raises(ValueError, match='more than max_pixels=1,000 allows'):
        TRANSFORMS.build(strict)(dict(sample))
    kind = {**strict, 'replace_corrupted': True}
    assert TRANSFORMS.build(kind)(dict(sample)) is None
    whole = contents['a.jpg']
    cut = {**sample, 'img_bytes': whole[: len(whole) // 2]}
    with pytest.raises(ValueError, match='cut short'):
        TRANSFORMS.build({'type': 'mmssm.LoadCheckedImage'})(cut)
