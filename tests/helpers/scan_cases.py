"""Random calls of the scans over the sizes where kernels break, and their checks.

A seed is a case: sizes, dtype, options and memory layouts follow from it.
"""

import numpy as np
import torch

from helpers import deform_oracle, devices, scan_oracle
from mmssm.ops import ScanPaths, deform_scan, path_scan, selective_scan

# Around the lanes of a vector, a tile, a checkpoint, powers of two and Mamba's chunk.
LENGTHS = (
    0, 1, 2, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 127, 128, 129, 243, 256, 257,
    1023, 1024, 1025, 2047, 2048, 2049, 4131,
)  # fmt: skip
CHANNELS = (1, 3, 15, 16, 17, 31, 32, 33, 128, 130, 320)
STATES = (1, 2, 3, 8, 16, 17, 64)
BATCHES = (0, 1, 1, 2, 3)
GROUPS = (1, 2, 3, 4)
RANKS = (0, 1, 3, 4, 8, 17)
SEGMENTS = (None, None, 1, 7, 17, 64, 65, 5000)
SIDES = (0, 1, 2, 3, 4, 7, 8, 11, 16)
ANCHORS = (0, 1, 1, 2, 4, 9, 25)
# State updates of one case: what the oracle does in a fraction of a second.
BUDGET = 400_000
TAPS = 3000
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# Of the root mean square. The budgets of test_precision.py are tighter: a fuzzed
# gradient may be a small sum of large terms.
TOLERANCES = {
    torch.float64: 1e-11,
    torch.float32: 2e-4,
    torch.bfloat16: 2**-8,
    torch.float16: 2**-11,
}


def error(got, expected):
    """RMS error of a tensor relative to the RMS of the array that is expected."""
    value = devices.exact(got)
    difference = np.sqrt(np.mean((value - expected) ** 2)) if value.size else 0.0
    return difference / np.sqrt(np.mean(expected**2)) if difference else 0.0


def check(got, expected):
    """Compares results by name with what the oracle says of them."""
    for name, tensor in got.items():
        assert tuple(tensor.shape) == expected[name].shape, name
        found = error(tensor, expected[name])
        assert found < TOLERANCES[tensor.dtype], f'{name}, {tensor.dtype}: {found:.2g}'


class Draw:
    """Random choices from one seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.dtype = self.of(DTYPES)
        # Half inputs may go with float32 weights.
        half = self.dtype in (torch.bfloat16, torch.float16)
        self.weight_dtype = torch.float32 if half and self.flag() else self.dtype
        # Large steps reach where softplus is linear and decays underflow.
        self.spread = self.of((1, 1, 8))

    def of(self, choices):
        return choices[self.rng.integers(len(choices))]

    def flag(self):
        return bool(self.rng.integers(2))

    def sizes(self, **choices):
        while True:
            sizes = {name: self.of(values) for name, values in choices.items()}
            if np.prod([max(size, 1) for size in sizes.values()]) <= BUDGET:
                return sizes

    def tensor(self, *shape, weight=False):
        dtype = self.weight_dtype if weight else self.dtype
        return self.laid_out(torch.from_numpy(self.rng.standard_normal(shape)), dtype)

    def laid_out(self, values, dtype):
        """The values in some memory layout, as a leaf that wants a gradient."""
        values = devices.here(values).to(dtype)
        layout = self.of(('plain', 'plain', 'transposed', 'strided', 'expanded'))
        if layout == 'transposed':
            values = values.transpose(0, -1).contiguous().transpose(0, -1)
        elif layout == 'strided':
            wide = torch.full((*values.shape[:-1], 2 * values.shape[-1] + 3), torch.nan)
            strided = wide.to(dtype)[..., 3::2]
            values = strided.copy_(values)
        elif layout == 'expanded':
            values = values[:1].expand(values.shape)
        return values.requires_grad_()


def selective_case(seed):
    """Returns the arguments, and whether the steps go through softplus."""
    draw = Draw(seed)
    size = draw.sizes(N=BATCHES, C=CHANNELS, L=LENGTHS, d=STATES, G=GROUPS)
    N, C, L, d, G = size.values()
    E = C * G
    softplus = draw.flag()
    delta = torch.from_numpy(draw.rng.standard_normal((N, E, L)))
    delta = draw.spread * delta - 1 if softplus else delta.abs() / 4
    arguments = {
        'u': draw.tensor(N, E, L),
        'delta': draw.laid_out(delta, draw.dtype),
        'A': draw.laid_out(-torch.from_numpy(draw.rng.standard_normal((E, d))).exp(),
                           draw.weight_dtype),
        'B': draw.tensor(N, G, d, L),
        'C': draw.tensor(N, G, d, L),
    }  # fmt: skip
    if draw.flag():
        arguments['D'] = draw.tensor(E, weight=True)
    if softplus and draw.flag():
        arguments['delta_bias'] = draw.tensor(E, weight=True)
    if draw.flag():
        arguments['z'] = draw.tensor(N, E, L)
    if draw.flag():
        arguments['initial_state'] = draw.tensor(N, E, d, weight=True)
    return arguments, softplus


def selective_call(arguments, softplus):
    """Returns the call of a selective scan for `run_op`, and its arguments."""

    def call():
        return selective_scan(
            **arguments, delta_softplus=softplus, return_last_state=True
        )

    return call, arguments


def run_selective_scan(arguments, softplus, seed=0):
    """Returns output, last state and all gradients, by name: of the op, of the oracle.

    The gradients are those for random cotangents of both results.
    """
    got = run_op(*selective_call(arguments, softplus), seed)
    exact = {k: _exact(v) for k, v in arguments.items()}
    exact['h0'] = exact.pop('initial_state', None)
    exact['delta_softplus'] = softplus
    cotangents = map(_exact, _cotangents(got, seed))
    gradients = scan_oracle.selective_scan_gradients(*cotangents, **exact)
    gradients['initial_state'] = gradients.pop('h0', None)
    out, last = scan_oracle.selective_scan(**exact)
    return got, {'output': out, 'last state': last, **gradients}


def path_case(seed):
    """Returns paths, sources, and the other arguments of a path scan."""
    draw = Draw(seed)
    size = draw.sizes(N=BATCHES, C=CHANNELS, L=LENGTHS, d=STATES, K=GROUPS)
    N, E, L, d, K = size.values()
    R = draw.of(RANKS)
    rows = [np.arange(L)] + [draw.rng.permutation(L) for _ in range(2)]
    num_sources = draw.of((1, 2))
    steps = [(draw.of(range(3)), draw.of(range(num_sources)), draw.flag())
             for _ in range(K)]  # fmt: skip
    index = devices.here(torch.from_numpy(np.stack(rows)))
    paths = ScanPaths(index, steps, draw.of(SEGMENTS))
    state = (N, K, E, d)
    if paths.segment is not None:
        state = (N, K, paths.num_segments, E, d)
    steps_in = draw.spread * torch.from_numpy(
        draw.rng.standard_normal((N, K, L, R or E))
    )
    arguments = {
        'dt': draw.laid_out(steps_in / max(R, 1) ** 0.5 - 1, draw.dtype),
        'A': draw.laid_out(
            -torch.from_numpy(draw.rng.standard_normal((K, E, d))).exp(),
            draw.weight_dtype,
        ),
        'B': draw.tensor(N, K, L, d),
        'C': draw.tensor(N, K, L, d),
        'D': draw.tensor(K, E, weight=True) if draw.flag() else None,
        'dt_bias': draw.tensor(K, E, weight=True) if draw.flag() else None,
        'dt_weight': draw.tensor(K, E, R, weight=True) if R else None,
        'initial_state': draw.tensor(*state, weight=True) if draw.flag() else None,
    }
    sources = [draw.tensor(N, L, E) for _ in range(paths.num_sources)]
    return paths, sources, arguments


def path_call(paths, sources, arguments):
    """Returns the call of a path scan for `run_op`, and its arguments."""

    def call():
        return path_scan(sources, paths=paths, **arguments, return_last_state=True)

    return call, {f'x{s}': x for s, x in enumerate(sources)} | arguments


def run_path_scan(paths, sources, arguments, seed=0):
    """Returns output, last state and all gradients, by name: of the op, of the oracle.

    The gradients are those for random cotangents of both results.
    """
    got = run_op(*path_call(paths, sources, arguments), seed)

    def with_segments(state):
        return state if state is None or paths.segment else state[:, :, None]

    exact = {k: _exact(v) for k, v in arguments.items()}
    exact['h0'] = with_segments(exact.pop('initial_state'))
    exact |= dict(
        x=[_exact(x) for x in sources],
        index=paths.index.cpu().numpy(),
        steps=paths.steps,
        segment=paths.segment,
    )
    grad_y, grad_last = map(_exact, _cotangents(got, seed))
    gradients = scan_oracle.path_scan_gradients(
        grad_y, with_segments(grad_last), **exact
    )
    gradients['initial_state'] = gradients.pop('h0', None)
    y, last = scan_oracle.path_scan(**exact)
    for name in ('last state', 'initial_state'):
        if name in got:
            got[name] = with_segments(got[name])
    return got, {'output': y, 'last state': last, **gradients}


def deform_case(seed):
    """Returns paths, size of the map, and the tensors of a deformable scan."""
    draw = Draw(seed)
    # The oracle looks at one tap at a time.
    while True:
        size = draw.sizes(
            N=BATCHES, C=CHANNELS[:8], H=SIDES, W=SIDES, d=STATES[:5], K=(1, 1, 2, 3)
        )
        N, C, H, W, d, K = size.values()
        G, M, L = draw.of((1, 1, 2, 3)), draw.of(ANCHORS), H * W
        if N * L * G * M <= TAPS:
            break
    E, R = C * G, draw.of(RANKS)
    rows = [np.arange(L), draw.rng.permutation(L)]
    steps = [(draw.of(range(2)), 0, draw.flag()) for _ in range(K)]
    index = devices.here(torch.from_numpy(np.stack(rows)))
    paths = ScanPaths(index, steps, draw.of(SEGMENTS))
    steps_in = draw.spread * draw.rng.standard_normal((N, K, L, R or E))
    reach = draw.of((0.0, 0.4, 1.5, 20.0))
    offset = reach * draw.rng.standard_normal((N, L, G, M, 2))
    by_channel = draw.flag() and draw.flag()
    return paths, (H, W), {
        'x': draw.tensor(N, L, E),
        'offset': draw.laid_out(torch.from_numpy(offset), draw.weight_dtype),
        'weight': draw.tensor(*((E, M) if by_channel else (N, L, G, M))),
        'anchors': draw.tensor(M, 2, weight=True).detach().round(),
        'dt': draw.laid_out(torch.from_numpy(steps_in / max(R, 1) ** 0.5 - 1),
                            draw.dtype),
        'A': draw.laid_out(-torch.from_numpy(draw.rng.standard_normal((K, E, d))).exp(),
                           draw.weight_dtype),
        'B': draw.tensor(N, K, L, d),
        'C': draw.tensor(N, K, L, d),
        'D': draw.tensor(K, E, weight=True) if draw.flag() else None,
        'dt_bias': draw.tensor(K, E, weight=True) if draw.flag() else None,
        'dt_weight': draw.tensor(K, E, R, weight=True) if R else None,
    }  # fmt: skip


def deform_call(paths, size, arguments):
    """Returns the call of a deformable scan for `run_op`, and its arguments."""

    def call():
        return (deform_scan(**arguments, size=size, paths=paths),)

    return call, {k: v for k, v in arguments.items() if k != 'anchors'}


def run_deform_scan(paths, size, arguments, seed=0):
    """Returns output and all gradients, by name: of the op, and of the oracle."""
    got = run_op(*deform_call(paths, size, arguments), seed)
    exact = {k: _exact(v) for k, v in arguments.items()}
    exact |= dict(size=size, index=paths.index.cpu().numpy())
    exact |= dict(steps=paths.steps, segment=paths.segment)
    (grad_y,) = map(_exact, _cotangents(got, seed))
    gradients = deform_oracle.deform_scan_gradients(grad_y, **exact)
    return got, {'output': deform_oracle.deform_scan(**exact), **gradients}


def run_op(call, arguments, seed=0):
    """Returns output, last state and the gradients for random cotangents, by name."""
    # A deformable scan has no last state.
    got = dict(zip(('output', 'last state'), call(), strict=False))
    present = {k: v for k, v in arguments.items() if v is not None}
    gradients = torch.autograd.grad(
        list(got.values()), list(present.values()), _cotangents(got, seed)
    )
    return got | dict(zip(present, gradients, strict=True))


def _exact(tensor):
    return None if tensor is None else devices.exact(tensor)


def _cotangents(got, seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        devices.normal(*got[name].shape, generator=generator).to(got[name].dtype)
        for name in ('output', 'last state')
        if name in got
    ]
