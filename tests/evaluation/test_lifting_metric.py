import multiprocessing

import numpy as np
import pytest
import torch.distributed as dist
from mmpose.evaluation.metrics import MPJPE
from mmpose.registry import METRICS

import mmssm.registry  # noqa: F401
from mmssm.evaluation import LiftingMetric


def make_sample(name, pred, gt, visible=None):
    visible = np.ones(gt.shape[:2]) if visible is None else visible
    return {
        'pred_instances': {'keypoints': pred},
        'gt_instances': {'lifting_target': gt, 'lifting_target_visible': visible},
        'target_img_path': [
            f'S9/{name}/{name}_{frame + 1:06d}.jpg' for frame in range(len(gt))
        ],
    }


def constant_sample(name, metres, frames=3, **kwargs):
    """A prediction that is off by so many metres in every joint."""
    gt = np.zeros((frames, 17, 3))
    return make_sample(name, gt + np.array([0, metres, 0]), gt, **kwargs)


def random_samples(seed=0):
    rng = np.random.default_rng(seed)
    names = [
        'S9_Walk.1',
        'S9_Walk_1.2',
        'S11_Photo.1',
        'S9_Greeting.1',
        'S11_Greeting.2',
    ]
    for name in names:
        gt = rng.normal(size=(4, 17, 3))
        yield make_sample(name, gt + rng.normal(size=gt.shape) * 0.1, gt)


def evaluate(metric, samples):
    samples = list(samples)
    for sample in samples:
        metric.process({}, [sample])
    return metric.evaluate(len(samples))


def test_is_built_by_name():
    metric = METRICS.build({'type': 'mmssm.LiftingMetric'})
    assert isinstance(metric, LiftingMetric)


def test_frame_mean_and_action_mean_by_hand():
    result = evaluate(
        LiftingMetric(errors=['MPJPE']),
        [
            constant_sample('S9_Walk.1', 0.010, frames=1),
            constant_sample('S9_Walk_1.1', 0.020, frames=3),
            constant_sample('S11_Photo.1', 0.050, frames=4),
        ],
    )
    assert result == pytest.approx(
        {
            'MPJPE': (10 + 3 * 20 + 4 * 50) / 8,
            'MPJPE_action_mean': ((10 + 3 * 20) / 4 + 50) / 2,
            'MPJPE_Photo': 50,
            'MPJPE_Walk': 17.5,
        }
    )


def test_skips_as_the_official_evaluation_does():
    samples = [
        constant_sample('S9_Greeting.1', 9.0),
        constant_sample('S9_Greeting.2', 9.0),
        constant_sample('S9_Greeting_1.1', 0.030),
        constant_sample('S11_Greeting.1', 0.010),
        constant_sample('S9_Waiting_1.1', 9.0),
        constant_sample('S9_Waiting.1', 0.040),
    ]
    result = evaluate(
        LiftingMetric(errors=['MPJPE'], skip_list=['S9_Greeting', 'S9_Waiting_1']),
        samples,
    )
    assert result['MPJPE_Greeting'] == pytest.approx(20)
    assert result['MPJPE_Waiting'] == pytest.approx(40)
    assert result['MPJPE'] == pytest.approx(80 / 3)


@pytest.mark.parametrize('mode', ['mpjpe', 'p-mpjpe', 'n-mpjpe'])
def test_agrees_with_mmposes_metric_in_millimetres(mode):
    skip = ['S9_Greeting']
    theirs = evaluate(MPJPE(mode=mode, skip_list=skip), random_samples())
    ours = evaluate(
        LiftingMetric(errors=[mode.upper()], skip_list=skip), random_samples()
    )
    ours.pop(f'{mode.upper()}_action_mean')
    assert ours == pytest.approx({key: 1000 * theirs[key] for key in theirs})


def test_frames_that_are_not_visible_do_not_count():
    visible = np.ones((4, 17))
    visible[1:] = 0
    sample = constant_sample('S9_Walk.1', 0.01, frames=4, visible=visible)
    sample['pred_instances']['keypoints'][1:] += 5
    result = evaluate(LiftingMetric(errors=['MPJPE']), [sample])
    assert result['MPJPE'] == pytest.approx(10)


def test_motion_errors_stay_within_a_sample():
    samples = [constant_sample('S9_Walk.1', 0.0), constant_sample('S9_Walk.2', 1.0)]
    result = evaluate(LiftingMetric(errors=['MPJVE', 'ACCEL']), samples)
    assert result['MPJVE'] == result['ACCEL'] == 0


def test_motion_errors_need_successive_frames():
    with pytest.raises(ValueError, match='ACCEL needs successive frames'):
        evaluate(
            LiftingMetric(errors=['ACCEL']), [constant_sample('S9_Walk.1', 0, frames=1)]
        )


def test_a_leading_axis_of_one_is_understood():
    sample = constant_sample('S9_Walk.1', 0.01)
    sample['pred_instances']['keypoints'] = sample['pred_instances']['keypoints'][None]
    assert evaluate(LiftingMetric(), [sample])['MPJPE'] == pytest.approx(10)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_prediction_that_is_not_finite_is_named(value):
    sample = constant_sample('S9_Walk.1', 0.01)
    sample['pred_instances']['keypoints'][1, 4, 2] = value
    with pytest.raises(
        ValueError, match=r'S9_Walk\.1_000001\.jpg is not finite in 1 of 3'
    ):
        LiftingMetric().process({}, [sample])


def test_a_prediction_of_another_shape_is_named():
    sample = constant_sample('S9_Walk.1', 0.01)
    sample['pred_instances']['keypoints'] = np.zeros((3, 16, 3))
    with pytest.raises(ValueError, match=r'shape \(3, 16, 3\)'):
        LiftingMetric().process({}, [sample])


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(ValueError, match='1 are in skip_list'):
        evaluate(
            LiftingMetric(skip_list=['S9_Walk']), [constant_sample('S9_Walk.1', 0.01)]
        )


@pytest.mark.parametrize('errors', [['PMPJPE'], 'MPJPE'])
def test_an_unknown_error_is_refused(errors):
    with pytest.raises(ValueError, match='errors must be a list'):
        LiftingMetric(errors=errors)


def evaluate_share(rank, folder, queue):
    """One of two processes: every second sample, the first process has one more."""
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    metric = LiftingMetric(skip_list=['S11_Photo'])
    samples = list(random_samples())
    for sample in samples[rank::2]:
        metric.process({}, [sample])
    queue.put((rank, metric.evaluate(len(samples))))
    dist.barrier()


def test_processes_put_their_results_together(tmp_path):
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    workers = [
        context.Process(target=evaluate_share, args=(rank, tmp_path, queue))
        for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    results = dict(queue.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(timeout=60)
    expected = evaluate(LiftingMetric(skip_list=['S11_Photo']), random_samples())
    for rank in range(2):
        assert results[rank] == pytest.approx(expected)


def test_given_xy_leaves_the_error_of_depth_and_says_so():
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 1000, (4, 17, 2))
    factor = rng.uniform(3, 6, (4, 1))
    depth = rng.normal(size=(4, 17, 1))
    xy = (image - image[:, :1]) * factor[..., None] / 1000
    gt = np.concatenate([xy, depth - depth[:, :1]], -1)
    off = np.array([0.3, -0.2, 0.05]) * np.ones((4, 17, 1))
    off[:, 0] = 0
    sample = make_sample('S9_Walk.1', gt + off, gt)
    sample.update(keypoints=image, factor=factor)
    names = ['MPJPE', 'P-MPJPE']
    plain = evaluate(LiftingMetric(), [sample])
    given = evaluate(LiftingMetric(given_xy=True), [sample])
    assert plain['MPJPE'] == pytest.approx(
        1000 * np.linalg.norm([0.3, -0.2, 0.05]) * 16 / 17
    )
    # official: the x and y of the input, then pixels times factor, root-relative
    assert given['MPJPE-given-xy'] == pytest.approx(50 * 16 / 17)
    assert set(given) == {
        f'{name}-given-xy{end}'
        for name in names
        for end in ('', '_action_mean', '_Walk')
    }


def test_given_xy_needs_input_for_each_frame():
    sample = constant_sample('S9_Walk.1', 0.01)
    with pytest.raises(KeyError, match='keypoints'):
        LiftingMetric(given_xy=True).process({}, [sample])
    sample.update(keypoints=np.zeros((5, 17, 2)), factor=np.ones((3, 1)))
    with pytest.raises(ValueError, match=r'expected \(3, 17\) joints, found \(5, 17\)'):
        LiftingMetric(given_xy=True).process({}, [sample])
