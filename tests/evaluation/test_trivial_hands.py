import numpy as np
import pytest
from helpers import freihand
from mmengine.config import Config

from mmssm.evaluation.functional import hand
from mmssm.evaluation.trivial_hands import evaluate_mean_hand


def config(folder, metric, **dataset):
    loaders = {}
    for phase, split, seed in (
        ('train', 'training', 0),
        ('val', 'evaluation', 1),
    ):
        freihand.write(folder, freihand.data(seed=seed), split=split, versions=1)
        settings = dict(type='mmssm.FreiHAND3DDataset', data_root=str(folder))
        loaders[f'{phase}_dataloader'] = dict(
            dataset=dict(settings, split=split, pipeline=['not used'], **dataset)
        )
    return Config(dict(**loaders, val_evaluator=metric))


def relative(seed, key='xyz'):
    contents = freihand.data(seed=seed)
    joints = np.array(contents['xyz'])
    return np.array(contents[key]) - joints[:, :1]


def test_joints_are_measured_by_the_config_s_metric(tmp_path):
    found = evaluate_mean_hand(config(tmp_path, dict(type='mmssm.HandPoseMetric')))
    errors = 1000 * hand.joint_errors(
        np.broadcast_to(relative(0).mean(0), (3, 21, 3)), relative(1)
    )
    assert found['MPJPE'] == pytest.approx(errors.mean(), rel=1e-4)
    assert 0 < found['PA-MPJPE'] < found['MPJPE']


def test_vertices_too(tmp_path):
    metric = dict(type='mmssm.HandMeshMetric', errors=['MPVPE', 'PA-MPVPE'])
    found = evaluate_mean_hand(config(tmp_path, metric, with_vertices=True))
    errors = 1000 * hand.joint_errors(
        np.broadcast_to(relative(0, 'verts').mean(0), (3, 20, 3)), relative(1, 'verts')
    )
    assert found['MPVPE'] == pytest.approx(errors.mean(), rel=1e-4)
    assert 0 < found['PA-MPVPE'] < found['MPVPE']
    assert {'F@5', 'F@15'} <= set(found)
