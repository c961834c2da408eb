"""Which parameters decay."""

import pytest
from helpers.lifting import tiny_model
from mmengine.optim import build_optim_wrapper
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401


def groups_by_name(model, weight_decay=0.01, paramwise_cfg=None):
    config = dict(
        constructor='mmssm.MambaOptimWrapperConstructor',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=weight_decay),
    )
    if paramwise_cfg is not None:
        config['paramwise_cfg'] = paramwise_cfg
    groups = build_optim_wrapper(model, config).optimizer.param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_name = {
        names[id(parameter)]: group for group in groups for parameter in group['params']
    }
    assert set(by_name) == set(names.values())
    return by_name, groups


@pytest.fixture(scope='module')
def model():
    return MODELS.build(tiny_model())


def test_dynamics_norms_and_tables_do_not_decay(model):
    by_name, groups = groups_by_name(model)
    assert len(groups) == 2
    free = ('A_log', '.D', 'dt_bias', '_pos', 'norm', 'pre_logits')
    for name, group in by_name.items():
        is_free = any(part in name for part in free)
        assert group['weight_decay'] == (0.0 if is_free else 0.01), name


def test_other_options_keep_working(model):
    by_name, groups = groups_by_name(
        model,
        paramwise_cfg=dict(
            norm_decay_mult=0.5, custom_keys={'head.fc': dict(lr_mult=10.0)}
        ),
    )
    assert by_name['backbone.spatial_norm.weight']['weight_decay'] == 0.005
    assert by_name['backbone.frame_pos']['weight_decay'] == 0
    assert by_name['head.fc.weight']['lr'] == pytest.approx(1e-2)
    assert by_name['head.fc.weight']['weight_decay'] == 0.01
    assert len(groups) == 4


def test_without_weight_decay_it_is_an_error(model):
    with pytest.raises(ValueError, match='has no weight_decay'):
        groups_by_name(model, weight_decay=None)
