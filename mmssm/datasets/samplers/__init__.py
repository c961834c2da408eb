from mmssm.datasets.samplers.epoch_sampler import EpochSampler

__all__ = ['EpochSampler']
