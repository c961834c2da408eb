"""Arguments of the scans, drawn at random."""

import torch

from helpers import devices
from mmssm.ops import ScanPaths

F64 = torch.float64
ONE = ((0, 0, False),)
FOUR = ((0, 0, False), (1, 1, False), (0, 0, True), (1, 1, True))


def selective_arguments(
    N=2, E=6, L=9, d_state=3, groups=2, dtype=F64, seed=0, grad=False
):
    """Returns all arguments of a selective scan by name."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return devices.normal(*shape, generator=generator, dtype=F64)

    arguments = {
        'u': normal(N, E, L),
        'delta': normal(N, E, L) - 1,
        'A': -normal(E, d_state).exp(),
        'B': normal(N, groups, d_state, L),
        'C': normal(N, groups, d_state, L),
        'D': normal(E),
        'z': normal(N, E, L),
        'delta_bias': normal(E),
        'initial_state': normal(N, E, d_state),
    }
    return {k: v.to(dtype).requires_grad_(grad) for k, v in arguments.items()}


def path_arguments(
    N=2, L=9, E=5, R=3, d_state=3, steps=FOUR, segment=None, dtype=F64, grad=False
):
    """Returns paths and all tensors of a path scan by name."""
    generator = torch.Generator().manual_seed(0)
    K = len(steps)

    def normal(*shape):
        return devices.normal(*shape, generator=generator, dtype=F64)

    index = torch.stack([torch.arange(L), devices.permutation(L, generator)])
    paths = ScanPaths(index, steps, segment)
    segments = () if segment is None else (paths.num_segments,)
    arguments = {f'x{s}': normal(N, L, E) for s in range(paths.num_sources)}
    arguments |= {
        'dt': normal(N, K, L, R or E),
        'A': -normal(K, E, d_state).exp(),
        'B': normal(N, K, L, d_state),
        'C': normal(N, K, L, d_state),
        'D': normal(K, E),
        'dt_bias': normal(K, E) - 1,
        'dt_weight': normal(K, E, R) if R else None,
        'initial_state': normal(N, K, *segments, E, d_state),
    }
    return paths, {
        k: None if v is None else v.to(dtype).requires_grad_(grad)
        for k, v in arguments.items()
    }


def deform_arguments(
    N=2, H=4, W=5, E=6, G=1, M=3, R=3, d_state=3, steps=ONE, segment=None,
    by='token', dtype=F64, grad=False, spread=1.2,
):  # fmt: skip
    """Returns size of the map, paths and all tensors of a deformable scan."""
    L = H * W
    paths, tensors = path_arguments(N, L, E, R, d_state, steps, segment, dtype)
    del tensors['initial_state']
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return devices.normal(*shape, generator=generator, dtype=F64)

    places = {
        'x': tensors.pop('x0'),
        'offset': spread * normal(N, L, G, M, 2),
        'weight': normal(N, L, G, M) if by == 'token' else normal(E, M),
        'anchors': normal(M, 2).round(),
    }
    tensors = {
        k: None if v is None else v.to(dtype) for k, v in (places | tensors).items()
    }
    for name, tensor in tensors.items():
        if tensor is not None and name != 'anchors':
            tensor.requires_grad_(grad)
    return (H, W), paths, tensors
