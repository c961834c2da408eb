from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample
from PIL import Image

import mmssm.registry  # noqa: F401
from mmssm.engine.hooks import Pose3dVisualizationHook
from mmssm.visualization import Pose3dVisualizer

FRAMES = 3


@pytest.fixture
def drawn(monkeypatch, request):
    """A visualizer that notes what it is to draw."""
    visualizer = Pose3dVisualizer.get_instance(request.node.name)
    calls = []
    monkeypatch.setattr(
        visualizer,
        'add_sequence',
        lambda sequence, **options: calls.append((sequence, options)),
    )
    return calls


@pytest.fixture
def runner(tmp_path):
    meta = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/h36m.py'})
    evaluator = SimpleNamespace(dataset_meta=meta)
    return SimpleNamespace(
        val_evaluator=evaluator,
        test_evaluator=evaluator,
        work_dir=str(tmp_path),
        timestamp='now',
        iter=40,
    )


def clip(video, start, value, visible=1.0, frames=FRAMES, window=FRAMES):
    """A sample of some frames; its joints stand ``value`` from the root."""
    target = np.full((frames, 17, 3), value)
    target[:, 0] = 0
    sample = PoseDataSample()
    sample.set_metainfo(
        {
            'target_img_path': [f'{video}_{start + i:06d}.jpg' for i in range(frames)],
            'keypoints': np.full((window, 17, 2), 100.0)
            + np.arange(window)[:, None, None],
            'keypoints_visible': np.ones((window, 17)),
        }
    )
    sample.gt_instances = InstanceData(
        lifting_target=target, lifting_target_visible=np.full((frames, 17), visible)
    )
    # an absolute prediction: everything is drawn relative to the root
    sample.pred_instances = InstanceData(keypoints=target + 5.0)
    return sample


def run(hook, runner, *batches):
    hook.before_test_epoch(runner)
    for index, batch in enumerate(batches):
        hook.after_test_iter(runner, index, {}, batch)
    hook.after_test_epoch(runner)


def test_windows_of_a_video_are_put_together_again(drawn, runner):
    hook = Pose3dVisualizationHook(enable=True, interval=1, out_dir='pictures')
    run(
        hook,
        runner,
        [clip('S9_Walk.cam0', 4, 0.4), clip('S9_Walk.cam1', 1, 0.1)],
        [clip('S9_Walk.cam0', 1, 0.2), clip('S9_Walk.cam0', 1, 9.0)],
    )
    (first, options), (second, _) = drawn
    assert first.name == 'S9_Walk.cam0' and second.name == 'S9_Walk.cam1'
    # by frame number, and of two predictions of a frame the first
    assert np.allclose(first.target[:, 1, 0], [0.2] * 3 + [0.4] * 3)
    assert np.allclose(first.errors, 0, atol=1e-3)
    assert np.allclose(first.keypoints[:, 0, 0], [100, 101, 102] * 2)
    assert options['out_dir'] == f'{runner.work_dir}/now/pictures'
    assert options['step'] == 40


def test_interval_counts_videos(drawn, runner):
    hook = Pose3dVisualizationHook(enable=True, interval=2)
    run(hook, runner, [clip(f'S9_Walk.cam{i}', 1, 0.1) for i in range(5)])
    assert [sequence.name[-1] for sequence, _ in drawn] == ['0', '2', '4']


def test_frames_without_ground_truth_and_unsure_joints_are_left_out(drawn, runner):
    hook = Pose3dVisualizationHook(enable=True, interval=1, kpt_thr=0.5)
    sample = clip('S9_Walk.cam0', 1, 0.1)
    sample.get('keypoints_visible')[0, 3] = 0.4
    run(hook, runner, [sample, clip('S9_Walk.cam0', 4, 0.1, visible=0.0)])
    ((sequence, _),) = drawn
    assert len(sequence) == FRAMES
    assert np.isnan(sequence.keypoints[0, 3]).all()
    assert np.isfinite(sequence.keypoints[1:]).all()


def test_lifter_of_single_frames(drawn, runner):
    hook = Pose3dVisualizationHook(enable=True, interval=1)
    samples = [clip('S9_Walk.cam0', i, 0.1, frames=1, window=5) for i in (1, 2)]
    run(hook, runner, samples)
    ((sequence, _),) = drawn
    assert sequence.target.shape == (2, 17, 3)
    assert np.allclose(sequence.keypoints[:, 0, 0], 102)  # the middle of the window


def test_without_2d_input_only_the_lifted_pose_is_drawn(drawn, runner):
    hook = Pose3dVisualizationHook(enable=True, interval=1)
    sample = clip('S9_Walk.cam0', 1, 0.1)
    sample.pop('keypoints')
    run(hook, runner, [sample])
    assert drawn[0][0].keypoints is None


def test_disabled_hook_draws_nothing(drawn, runner):
    run(Pose3dVisualizationHook(), runner, [clip('S9_Walk.cam0', 1, 0.1)])
    assert not drawn


def test_validation_forgets_the_videos_of_an_earlier_loop(drawn, runner):
    hook = Pose3dVisualizationHook(enable=True, interval=1, out_dir='pictures')
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, {}, [clip('S9_Walk.cam0', 1, 0.1)])
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, {}, [clip('S9_Run.cam0', 1, 0.1)])
    hook.after_val_epoch(runner)
    ((sequence, options),) = drawn
    assert sequence.name == 'S9_Run.cam0' and options['out_dir'] is None


def test_files_are_written(runner, request, tmp_path):
    Pose3dVisualizer.get_instance(request.node.name)
    hook = Pose3dVisualizationHook(
        enable=True,
        interval=1,
        out_dir=str(tmp_path / 'out'),
        clip_step=2,
        num_frames=2,
    )
    run(hook, runner, [clip('S9_Walk.cam0', 1, 0.1)])
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'S9_Walk.cam0.gif',
        'S9_Walk.cam0.png',
    ]
    with Image.open(tmp_path / 'out' / 'S9_Walk.cam0.gif') as picture:
        assert picture.n_frames == 2


def test_a_visualizer_that_cannot_draw_sequences_is_refused(runner, request):
    Visualizer.get_instance(request.node.name)
    hook = Pose3dVisualizationHook(enable=True, interval=1)
    with pytest.raises(TypeError, match=r'mmssm\.Pose3dVisualizer'):
        run(hook, runner, [clip('S9_Walk.cam0', 1, 0.1)])


def test_interval_must_be_positive():
    with pytest.raises(ValueError, match='interval'):
        Pose3dVisualizationHook(interval=0)
