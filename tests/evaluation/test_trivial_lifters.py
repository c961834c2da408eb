import pytest
from helpers.mocap import VAL_CODEC, VAL_PIPELINE
from mmengine.config import Config

from mmssm.evaluation.trivial_lifters import evaluate_trivial_lifters


def make_config(noise, fold=0):
    pipeline = VAL_PIPELINE if noise else VAL_PIPELINE[1:]
    dataset = {'type': 'mmssm.MocapDataset', 'fold': fold, 'views': 1}
    return Config(
        {
            'default_scope': 'mmpose',
            'model': {'head': {'decoder': VAL_CODEC}},
            'train_dataloader': {
                'sampler': {'type': 'mmssm.EpochSampler', 'shuffle': True},
                'dataset': {**dataset, 'pipeline': []},
            },
            'val_dataloader': {
                'dataset': {**dataset, 'pipeline': pipeline, 'test_mode': True}
            },
            'val_evaluator': {'type': 'mmssm.LiftingMetric'},
        }
    )


def test_yardsticks_of_fold_0():
    result = evaluate_trivial_lifters(make_config(noise=True))
    assert result['mean_pose']['MPJPE'] == pytest.approx(366, abs=3)
    assert result['flat']['MPJPE'] == pytest.approx(193.7, abs=0.2)
    assert result['flat']['P-MPJPE'] < result['flat']['MPJPE']


def test_without_noise_the_flat_pose_is_wrong_in_depth_alone():
    cfg = make_config(noise=False)
    cfg.val_evaluator = {'type': 'mmssm.LiftingMetric', 'errors': ['MPJPE', 'N-MPJPE']}
    flat = evaluate_trivial_lifters(cfg)['flat']
    noisy = evaluate_trivial_lifters(make_config(noise=True))['flat']
    assert 150 < flat['MPJPE'] < noisy['MPJPE']
