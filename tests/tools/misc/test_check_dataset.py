import numpy as np
import pytest
from helpers import h36m, motionbert, mpi_inf_3dhp
from helpers.modules import load_script
from mmpose.registry import DATASETS

from mmssm.datasets import motionbert_files, mpi_inf_3dhp_files
from mmssm.datasets.checks import check, hip_distance

BASES = 'configs/_base_/datasets'


@pytest.fixture(scope='module')
def tool():
    return load_script('tools/misc/check_dataset.py')


def options(root, **changes):
    """``--cfg-options`` for both phases."""
    changes = {'data_root': root, **changes}
    return [
        f'{phase}_dataloader.dataset.{key}={value}'
        for phase in ('train', 'val')
        for key, value in changes.items()
    ]


def test_parts_of_data_sets_pass_unless_strict(tmp_path, tool, capsys):
    mpi_inf_3dhp.write(tmp_path)
    motionbert.write(tmp_path)
    base = f'{BASES}/mpi_inf_3dhp_27frm.py'
    tool.main([base, '--cfg-options', *options(tmp_path)])
    printed = capsys.readouterr().out
    assert 'DIFFERS, expected 1,052,736' in printed
    assert 'frames of S1_Seq1_Cam8' in printed and 'S8_Seq2' not in printed
    assert 'DIFFERS, expected 2,929' in printed
    with pytest.raises(SystemExit) as stop:
        tool.main([base, '--strict', '--cfg-options', *options(tmp_path)])
    assert stop.value.code == 1
    base = f'{BASES}/h36m_motionbert_243frm.py'
    tool.main([base, '--cfg-options', *options(tmp_path, ann_file='h36m.pkl')])
    assert 'DIFFERS, expected 2,228' in capsys.readouterr().out


def test_a_file_that_does_not_fit_ends_in_one_line(tmp_path, tool):
    mpi_inf_3dhp.write(tmp_path)
    path = tmp_path / 'data_test_3dhp.npz'
    path.write_bytes(path.read_bytes()[:-3000])
    base = f'{BASES}/mpi_inf_3dhp_81frm.py'
    with pytest.raises(SystemExit, match='cut short'):
        tool.main([base, '--cfg-options', *options(tmp_path)])
    data = mpi_inf_3dhp.test_data()
    del data['TS5']['data_3d']
    mpi_inf_3dhp.write(tmp_path, test=data)
    with pytest.raises(SystemExit, match=r"error: val: .*TS5.*lacks \['data_3d'\]"):
        tool.main([base, '--cfg-options', *options(tmp_path)])


def body(frames):
    """Joints whose pelvis lies between the hips, in Human3.6M's order."""
    joints = np.random.default_rng(0).normal(size=(frames, 17, 3))
    joints[:, 0] = (joints[:, 1] + joints[:, 4]) / 2
    return joints


def test_released_counts_pass(monkeypatch, tmp_path):
    """Small files under the counts of large ones."""
    sizes = {'TS1': (40, 25), 'TS5': (14, 9)}
    monkeypatch.setattr(mpi_inf_3dhp_files, 'TEST_FRAMES', {'TS1': 40, 'TS5': 14})
    monkeypatch.setattr(mpi_inf_3dhp_files, 'VALID_FRAMES', {'TS1': 25, 'TS5': 9})
    monkeypatch.setattr(mpi_inf_3dhp_files, 'TRAIN_FRAMES', {'S1 Seq1': 31})
    monkeypatch.setattr(mpi_inf_3dhp_files, 'CAMERAS', ('0', '8'))
    root = mpi_inf_3dhp.write(
        tmp_path,
        mpi_inf_3dhp.train_data({'S1 Seq1': (31, ('0', '8'))}),
        mpi_inf_3dhp.test_data(sizes),
    )
    settings = {'type': 'mmssm.MpiInf3dhpDataset', **root}
    for split, clips in (('train', 8), ('test', 34)):
        dataset = DATASETS.build(
            {
                **settings,
                'ann_file': f'data_{split}_3dhp.npz',
                'test_mode': split == 'test',
            }
        )
        results = check(dataset)
        assert all(result.passed for result in results)
        assert results[-1].found == results[-1].expected == clips
    np.savez(
        tmp_path / 'valid.npz', **mpi_inf_3dhp.converted(mpi_inf_3dhp.test_data(sizes))
    )
    dataset = DATASETS.build({**settings, 'ann_file': 'valid.npz', 'test_mode': True})
    assert all(result.passed for result in check(dataset))


def test_mmposes_files_are_counted(tmp_path, monkeypatch):
    arrays = h36m.videos(S9_Walk__111=40, S9_Photo__222=31)
    arrays['S'][..., :3] = body(71)
    arguments = h36m.write(tmp_path, arrays)
    (tmp_path / 'train.npz').rename(tmp_path / 'h36m_test_original.npz')
    monkeypatch.setattr(motionbert_files, 'FRAMES', {'train': 9, 'test': 71})
    dataset = DATASETS.build(
        {
            'type': 'mmssm.Human36mDataset',
            **arguments,
            'ann_file': 'h36m_test_original.npz',
            'multiple_target': 20,
            'lazy_init': True,
        }
    )
    frames, videos, clips = check(dataset)
    assert frames == ('frames', 71, 71) and frames.passed
    assert videos.found == 2
    assert clips == ('clips', 3, None)
    assert hip_distance(dataset) == pytest.approx(0, abs=1e-6)


def test_joints_in_another_order_are_noticed(tmp_path):
    data = mpi_inf_3dhp.test_data({'TS1': (40, 25)})
    # already in Human3.6M's order, which is what the mistake looks like
    data['TS1']['data_3d'] = 1000 * body(40)
    mpi_inf_3dhp.write(tmp_path, test=data)
    settings = {'type': 'mmssm.MpiInf3dhpDataset', 'test_mode': True}
    dataset = DATASETS.build(
        {**settings, 'ann_file': str(tmp_path / 'data_test_3dhp.npz')}
    )
    assert hip_distance(dataset) > 0.25


def test_other_data_sets_are_refused():
    with pytest.raises(TypeError, match='MocapDataset, which reads no released file'):
        check(DATASETS.build({'type': 'mmssm.MocapDataset', 'test_mode': True}))
