import pickle

import numpy as np
import pytest
from helpers import motionbert as files
from helpers.modules import load_script
from mmpose.registry import DATASETS

from mmssm.datasets.virtual_cameras import fixed_camera

CODEC = {'type': 'MotionBERTLabel', 'num_keypoints': 17}


@pytest.fixture(scope='module')
def tool():
    return load_script('tools/dataset_converters/h36m_motionbert.py')


@pytest.fixture
def cameras(tmp_path):
    cameras = {
        (subject, camera): {
            **fixed_camera(0),
            'w': 1000,
            'h': 1002 if camera in ('54138969', '60457274') else 1000,
        }
        for subject in ('S1', 'S5', 'S9', 'S11')
        for camera in files.CAMERAS.values()
    }
    path = tmp_path / 'cameras.pkl'
    path.write_bytes(pickle.dumps(cameras))
    return str(path)


def encoded(settings, mode):
    encoder = {**CODEC, 'mode': mode}
    pipeline = [{'type': 'GenerateTarget', 'encoder': encoder}]
    dataset = DATASETS.build({**settings, 'pipeline': pipeline})
    samples = [dataset[index] for index in range(len(dataset))]
    return {
        sample['target_img_path'][0].rpartition('/')[2]: sample for sample in samples
    }


def test_both_formats_give_the_same_samples(tmp_path, tool, cameras, capsys):
    halves = files.data(
        [(1, 2, 1, 1, 40), (5, 14, 2, 4, 30)], [(9, 5, 2, 1, 27), (11, 13, 1, 3, 31)]
    )
    arguments = files.write(tmp_path, halves)
    out = tmp_path / 'fps50'
    tool.main(['to-mmpose', str(tmp_path / 'h36m.pkl'), cameras, str(out)])
    printed = capsys.readouterr().out
    assert 'train: 70 frames (released: 1,559,752), 2 videos' in printed
    assert 'test: 58 frames (released: 566,920), 2 videos' in printed
    for split, mode in (('train', 'train'), ('test', 'test')):
        theirs = {
            'type': 'mmssm.Human36mMotionBERTDataset',
            'seq_len': 20,
            'stride': 20,
            'split': split,
            'test_mode': split == 'test',
            **arguments,
        }
        ours = {
            'type': 'mmssm.Human36mDataset',
            'ann_file': str(out / f'h36m_{split}_original.npz'),
            'camera_param_file': cameras,
            'multiple_target': 20,
            'data_root': '',
        }
        if split == 'test':
            ours['factor_file'] = str(out / 'h36m_factors.npy')
        mine, other = encoded(ours, mode), encoded(theirs, mode)
        assert mine.keys() == other.keys() and len(mine) == 2 + (split == 'train')
        for name in mine:
            for key, accuracy in (
                ('keypoint_labels', 1e-5),
                ('keypoints_visible', 1e-6),
                ('lifting_target_label', 2e-5),
            ):
                np.testing.assert_allclose(
                    mine[name][key], other[name][key], atol=accuracy, err_msg=key
                )


def test_there_and_back_again(tmp_path, tool, cameras):
    halves = files.data()
    files.write(tmp_path, halves)
    out, back = tmp_path / 'fps50', tmp_path / 'back.pkl'
    tool.main(['to-mmpose', str(tmp_path / 'h36m.pkl'), cameras, str(out)])
    tool.main(['to-motionbert', str(out), cameras, str(back)])
    read = pickle.loads(back.read_bytes())
    for split, half in halves.items():
        for key in half:
            mine, theirs = read[split][key], np.asarray(half[key])
            if theirs.dtype.kind == 'U':
                assert mine.tolist() == theirs.tolist()
            else:
                np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize(
    ('action', 'number'),
    [
        ('Directions_1', 2),
        ('Discussion', 3),
        ('SittingDown_2', 10),
        ('Sitting_1', 9),
        ('Posing', 7),
        ('Photo', 12),
        ('TakingPhoto_1', 12),
        ('WalkDog', 15),
        ('WalkTogether_1', 16),
        ('Walking', 14),
        ('Purchases', 8),
    ],
)
def test_actions_in_both_spellings(tool, action, number):
    source, _ = tool.source_of(tool.split_name(f'S9_{action}.55011271'))
    take = action.partition('_')[2] or '2'
    assert source == f's_09_act_{number:02d}_subact_{int(take):02d}_ca_02'


def test_wrong_counts_and_files_end_in_one_line(tmp_path, tool, cameras):
    files.write(tmp_path, files.data())
    source, out = str(tmp_path / 'h36m.pkl'), str(tmp_path / 'out')
    with pytest.raises(SystemExit) as stop:
        tool.main(['to-mmpose', source, cameras, out, '--strict'])
    assert stop.value.code == 1
    with pytest.raises(SystemExit, match=r'error: .*absent\.pkl does not exist'):
        tool.main(['to-mmpose', str(tmp_path / 'absent.pkl'), cameras, out])
    (tmp_path / 'few.pkl').write_bytes(pickle.dumps({('S1', '1'): fixed_camera(0)}))
    with pytest.raises(SystemExit, match='cameras are missing'):
        tool.main(['to-mmpose', source, str(tmp_path / 'few.pkl'), out])
    with pytest.raises(ValueError, match="unknown action 'Fly'"):
        tool.source_of(tool.split_name('S9_Fly.55011271'))
    with pytest.raises(ValueError, match='expected a camera'):
        tool.source_of(tool.split_name('S9_Walk.7'))
    with pytest.raises(ValueError, match='expected a name like'):
        tool.split_name('walk.jpg')
    with pytest.raises(ValueError, match=r'found \(1, 1\); joints moved'):
        tool.compare(tmp_path, (1, 1), (2, 1), 0.0)
