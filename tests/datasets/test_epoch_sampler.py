import pytest
from mmengine.registry import DATA_SAMPLERS

from mmssm.datasets import EpochSampler, MocapDataset


@pytest.fixture(scope='module')
def dataset():
    return MocapDataset(seq_len=27, stride=81, views=1)


def test_is_built_by_name(dataset):
    sampler = DATA_SAMPLERS.build(
        {'type': 'mmssm.EpochSampler', 'shuffle': False},
        default_args={'dataset': dataset},
    )
    assert isinstance(sampler, EpochSampler)


def test_indices_carry_the_epoch(dataset):
    sampler, size = EpochSampler(dataset, shuffle=False), len(dataset)
    assert list(sampler) == list(range(size))
    sampler.set_epoch(4)
    assert list(sampler) == list(range(4 * size, 5 * size))
    assert len(sampler) == size


def test_each_epoch_has_its_own_order(dataset):
    sampler, size = EpochSampler(dataset, seed=0), len(dataset)
    first = list(sampler)
    sampler.set_epoch(1)
    second = [index - size for index in sampler]
    assert sorted(first) == sorted(second) == list(range(size))
    assert first != second


def test_another_dataset_is_refused():
    with pytest.raises(TypeError, match='DefaultSampler'):
        EpochSampler([1, 2, 3])
