import json

import numpy as np
import pytest
from helpers import motionbert
from helpers.modules import ROOT, load_script
from PIL import Image

from mmssm.visualization import Pose3dVisualizer

MOCAP = str(
    ROOT
    / 'configs/body_3d_keypoint/posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py'
)


@pytest.fixture(scope='module')
def tool():
    return load_script('tools/misc/browse_dataset.py')


@pytest.fixture
def drawn(monkeypatch):
    """What was to be drawn, and how."""
    calls = []
    monkeypatch.setattr(
        Pose3dVisualizer,
        'add_sequence',
        lambda self, sequence, **options: calls.append((sequence, options)),
    )
    return calls


def test_pictures_of_sequences_are_written(tmp_path, tool):
    arguments = [MOCAP, '--output-dir', str(tmp_path), '--not-show', '--phase', 'val']
    changes = [f'{split}_dataloader.dataset.seq_len=3' for split in ('train', 'val')]
    tool.main([*arguments, '--max-item-per-dataset', '1', '--cfg-options', *changes])
    [still] = tmp_path.glob('*.png')
    [moving] = tmp_path.glob('*.gif')
    assert still.stem == moving.stem == 'B0_DanceA.cam0_000001'
    assert np.ptp(np.asarray(Image.open(still))) > 0


def test_original_and_transformed_show_the_same_before_augmentation(
    tmp_path, tool, drawn
):
    """Undoing the normalisation gives what the file holds."""
    config = tmp_path / 'config.py'
    bases = [
        str(ROOT / 'configs/_base_' / name)
        for name in ('default_runtime.py', 'datasets/h36m_motionbert_243frm.py')
    ]
    config.write_text(
        f'_base_ = {bases!r}\nvisualizer = dict(type="mmssm.Pose3dVisualizer")\n'
    )
    motionbert.write(tmp_path)
    changes = [
        f'{phase}_dataloader.dataset.{change}'
        for phase in ('train', 'val')
        for change in (f'data_root={tmp_path}', 'ann_file=h36m.pkl', 'seq_len=20')
    ]
    for mode in ('original', 'transformed'):
        for phase in ('val', 'train'):
            arguments = [str(config), '--mode', mode, '--phase', phase]
            more = ['--max-item-per-dataset', '1', '--cfg-options', *changes]
            if phase == 'train':
                more.append('flip.flip_prob=0')
                more.append('train_dataloader.dataset.pipeline.1.flip_prob=0')
            tool.main([*arguments, *more])
    (val, options), (train, _), (val_again, _), (train_again, _) = drawn
    assert options['show'] and options['wait_time'] == 2
    assert val.predicted is None and val.name == 'S9_Greet.54138969_000001'
    for one, other in ((val, val_again), (train, train_again)):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-2)
        np.testing.assert_allclose(one.target, other.target, atol=1e-4)


def test_names_that_are_taken_get_a_number(tmp_path, tool):
    path = tmp_path / 'a.png'
    for name in ('a.png', 'a(1).png', 'a(2).png'):
        free = tool.unused(path)
        assert free.name == name
        free.touch()


def test_what_cannot_be_drawn_is_said(tmp_path, tool):
    with pytest.raises(SystemExit, match='--not-show without --output-dir'):
        tool.main([MOCAP, '--not-show'])
    stock = 'visualizer.type=PoseLocalVisualizer'
    with pytest.raises(SystemExit, match=r'visualizer\.type=mmssm\.Pose3dVisualizer'):
        tool.main(
            [MOCAP, '--not-show', '--output-dir', str(tmp_path), '--cfg-options', stock]
        )
    with pytest.raises(tool.UserError, match='use --mode original'):
        tool.as_transformed({}, {'type': 'VideoPoseLifting'})
    with pytest.raises(tool.UserError, match='use --mode original'):
        tool.as_transformed({}, None)


IMAGES = """
_base_ = {base!r}
train_dataloader = dict(
    dataset=dict(
        type='FreiHandDataset',
        data_root={root!r},
        ann_file='hands.json',
        data_prefix=dict(img=''),
        pipeline=[
            dict(type='LoadImage'),
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(32, 32)),
            dict(type='PackPoseInputs'),
        ],
    )
)
"""


@pytest.mark.parametrize(('mode', 'size'), [('original', 40), ('transformed', 32)])
def test_pictures_of_images_are_written(tmp_path, tool, mode, size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / 'hand.png')
    joints = np.concatenate([rng.uniform(5, 35, (21, 2)), np.full((21, 1), 2)], -1)
    hand = {
        'id': 0,
        'image_id': 0,
        'category_id': 1,
        'bbox': [0, 0, 40, 40],
        'area': 1600,
        'iscrowd': 0,
        'num_keypoints': 21,
        'segmentation': [],
        'keypoints': joints.ravel().tolist(),
    }
    annotations = {
        'images': [{'id': 0, 'file_name': 'hand.png', 'width': 40, 'height': 40}],
        'annotations': [hand, {**hand, 'id': 1}],
        'categories': [{'id': 1, 'name': 'hand'}],
    }
    (tmp_path / 'hands.json').write_text(json.dumps(annotations))
    base = str(ROOT / 'configs/_base_/default_runtime.py')
    config = tmp_path / 'config.py'
    config.write_text(IMAGES.format(base=base, root=str(tmp_path)))
    out = tmp_path / 'out'
    out.mkdir()
    tool.main([str(config), '--output-dir', str(out), '--not-show', '--mode', mode])
    # two hands in one image
    assert {path.name for path in out.iterdir()} == {'hand.png', 'hand(1).png'}
    assert np.asarray(Image.open(out / 'hand.png')).shape == (size, size, 3)
