import numpy as np
import pytest
from PIL import Image

from mmssm.visualization import PoseSequence, SequencePainter, save_clip


def test_errors_are_millimetres_per_frame(sequence):
    assert np.allclose(sequence.errors, 30.0)
    assert len(sequence) == 6


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'target': np.zeros((6, 17, 2))}, 'target must be'),
        ({'target': np.zeros((0, 17, 3))}, 'at least one frame'),
        ({'predicted': np.zeros((5, 17, 3))}, 'shape of target'),
        ({'keypoints': np.zeros((6, 16, 2))}, 'keypoints must be'),
    ],
)
def test_shapes_that_do_not_fit_are_refused(sequence, change, message):
    parts = {
        name: getattr(sequence, name) for name in ('predicted', 'target', 'keypoints')
    }
    with pytest.raises(ValueError, match=message):
        PoseSequence('video', **{**parts, **change})


def test_sheet_has_a_column_per_frame(skeleton, sequence):
    painter = SequencePainter(skeleton, dpi=50)
    two, three = painter.sheet(sequence, 2), painter.sheet(sequence, 3)
    assert two.dtype == np.uint8 and two.shape[2] == 3
    assert three.shape[1] == pytest.approx(1.5 * two.shape[1], abs=2)
    every = painter.sheet(sequence, 99)
    assert every.shape[1] == pytest.approx(3 * two.shape[1], abs=2)


def test_sheet_without_2d_input(skeleton, sequence):
    blind = PoseSequence('video', sequence.predicted, sequence.target)
    assert SequencePainter(skeleton, dpi=50).sheet(blind, 2).std() > 0


def test_clip_is_written_with_its_frames_and_speed(tmp_path, skeleton, sequence):
    painter = SequencePainter(skeleton, dpi=50)
    path = tmp_path / 'clip.gif'
    moving = PoseSequence(
        'video',
        sequence.predicted * np.linspace(0.5, 1, 6)[:, None, None],
        sequence.target,
        sequence.keypoints,
    )
    save_clip(painter.clip(moving, max_frames=3, step=2), path, fps=25)
    with Image.open(path) as clip:
        assert clip.n_frames == 3
        assert clip.info['duration'] == 40
        first = np.asarray(clip.convert('RGB')).astype(int)
    drawn = next(painter.clip(moving)).astype(int)
    assert first.shape == drawn.shape
    # The palette has the colours of the drawing: a viewer sees no difference.
    assert np.abs(first - drawn).mean() < 3


def test_view_and_scale_do_not_move_within_a_clip(skeleton, sequence):
    frames = list(SequencePainter(skeleton, dpi=50).clip(sequence))
    assert len(frames) == 6
    # This person does not move, so nothing but the frame's number may change.
    changed = (frames[0] != frames[5]).any(axis=(1, 2))
    assert changed.sum() < 0.1 * len(changed)


def test_an_empty_clip_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no frames'):
        save_clip(iter([]), tmp_path / 'clip.gif', fps=25)
