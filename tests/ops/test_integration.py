"""The scans as operators of PyTorch: registration, compilers, modes, processes."""

import pytest
import torch
from helpers import fresh
from helpers.modules import ROOT
from helpers.scan_arguments import F64, path_arguments, selective_arguments
from torch.library import opcheck

from mmssm.ops import path_scan, selective_scan

OPS = torch.ops.mmssm


def selective(arguments):
    return selective_scan(**arguments, delta_softplus=True)


def path(paths, arguments):
    rest = {k: v for k, v in arguments.items() if k not in ('x0', 'x1')}
    return path_scan((arguments['x0'], arguments['x1']), paths=paths, **rest)


def test_every_op_is_checked(native):
    """`opcheck` runs all its checks on each, dynamic shapes included.

    On the scans below, on sampling and the scan of samples in test_deform_*.py.
    """
    names = {
        name.partition('::')[2].partition('.')[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith('mmssm::')
    }
    checked = {'selective_scan', 'path_scan', 'deform_sample', 'deform_scan'}
    steps = {'scan_steps'}  # what exporters see
    assert names == checked | {f'{name}_backward' for name in checked} | steps


def test_registration_of_the_steps_that_exporters_see():
    generator = torch.Generator().manual_seed(0)
    sizes = (2, 3, 1, 4, 5), (1, 4, 5), (7, 2, 3, 1, 1, 5), (7, 2, 3, 1, 1, 5)
    sizes = (*sizes, (7, 2, 3, 1, 4, 1), (7, 2, 3, 1, 1, 4))
    tensors = [torch.rand(size, generator=generator) for size in sizes]
    opcheck(OPS.scan_steps.default, tuple(tensors))


def test_registration_of_selective_scan(native):
    a = selective_arguments(1, 4, 70, 2, 2, grad=True)
    tensors = (a['u'], a['delta'], a['A'], a['B'], a['C'], a['D'], a['delta_bias'])
    op = OPS.selective_scan
    opcheck(op.default, (*tensors, a['initial_state'], *[True] * 3, F64))
    opcheck(op.default, (*tensors[:5], None, None, None, False, False, True, F64))
    tensors = tuple(t.detach() for t in tensors)
    out, last, kept = op(*tensors, None, True, True, True, F64)
    opcheck(
        OPS.selective_scan_backward.default,
        (out, last, kept, *tensors, None, True),
    )


def test_registration_of_path_scan(native):
    for segment, full in ((None, True), (2, False)):
        paths, a = path_arguments(
            1, 70 if full else 5, 3, 2, 2, segment=segment, grad=True
        )
        x = [a.pop('x0'), a.pop('x1')]
        state = a.pop('initial_state')
        tensors = list(a.values())
        if segment is None:
            state = state.unsqueeze(2)
        if not full:
            tensors[4:6] = None, None
        rows, sources, reverse = (
            list(map(int, v)) for v in zip(*paths.steps, strict=True)
        )
        path = (
            paths.index, rows, sources, reverse, segment or 70, paths.num_segments,
        )  # fmt: skip
        op = OPS.path_scan
        opcheck(op.default, (x, *tensors, state, *path, full, True, F64))
        fixed = [t if t is None else t.detach() for t in (*tensors, state)]
        x = [t.detach() for t in x]
        y, last, kept = op(x, *fixed, *path, True, True, F64)
        opcheck(
            OPS.path_scan_backward.default,
            (y, last if full else None, kept, x, *fixed, *path),
        )


def test_selective_scan_compiles_in_one_graph_for_all_sizes(native):
    torch.compiler.reset()
    graphs = torch._dynamo.testing.CompileCounterWithBackend('aot_eager')
    compiled = torch.compile(selective, fullgraph=True, backend=graphs, dynamic=True)
    # No two sizes alike, and two checkpoints at least: PyTorch makes constants of
    # sizes that are equal, 0 or 1.
    for N, L in ((5, 130), (6, 200), (7, 260)):
        arguments = selective_arguments(N, 4, L, 2, 1, torch.float32, grad=True)
        expected, got = selective(arguments), compiled(arguments)
        torch.testing.assert_close(got, expected)
        inputs = list(arguments.values())
        for a, b in zip(
            torch.autograd.grad(got.sum(), inputs),
            torch.autograd.grad(expected.sum(), inputs),
            strict=True,
        ):
            torch.testing.assert_close(a, b)
    assert graphs.frame_count == 1


def test_selective_scan_exports_with_dynamic_shapes(native):
    class Module(torch.nn.Module):
        def forward(self, u, delta, A, B, C):
            return selective_scan(u, delta, A, B, C)

    def inputs(N, L):
        arguments = selective_arguments(N, 4, L, 2, 1, torch.float32)
        arguments['delta'] = arguments['delta'].abs()
        return tuple(arguments[k] for k in ('u', 'delta', 'A', 'B', 'C'))

    N, L = torch.export.Dim('N'), torch.export.Dim('L')
    tokens = {0: N, 2: L}
    weights = {0: N, 3: L}
    exported = torch.export.export(
        Module(), inputs(2, 9), dynamic_shapes=(tokens, tokens, None, weights, weights)
    )
    for sizes in ((2, 9), (3, 131)):
        got = exported.module()(*inputs(*sizes))
        assert torch.equal(got, Module()(*inputs(*sizes)))


class Layer(torch.nn.Module):
    """A module that holds its paths, as models do."""

    def __init__(self, paths, arguments):
        super().__init__()
        self.paths = paths
        self.rest = {
            k: arguments[k] for k in ('A', 'D', 'dt_bias', 'dt_weight', 'B', 'C')
        }

    def forward(self, x, dt):
        return path_scan((x, x.flip(-1)), dt, paths=self.paths, **self.rest)


@pytest.mark.parametrize('segment', [None, 4])
def test_path_scan_compiles_in_one_graph_and_exports(native, segment):
    paths, arguments = path_arguments(
        1, 9, 4, 2, 2, segment=segment, dtype=torch.float32
    )
    layer = Layer(paths, arguments)
    inputs = arguments['x0'].requires_grad_(), arguments['dt']
    expected = layer(*inputs)
    compiled = torch.compile(layer, fullgraph=True, backend='aot_eager')
    got = compiled(*inputs)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(
        torch.autograd.grad(got.sum(), inputs[0]),
        torch.autograd.grad(expected.sum(), inputs[0]),
    )
    with torch.no_grad():
        exported = torch.export.export(layer, inputs)
    assert torch.equal(exported.module()(*inputs), expected)


@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
def test_modes_without_gradient(implementation, mode):
    arguments = selective_arguments(dtype=torch.float32, grad=True)
    paths, tokens = path_arguments(dtype=torch.float32, grad=True)
    expected = selective(arguments), path(paths, tokens)
    with mode():
        # Made inside, too: inference tensors can never be recorded.
        arguments = {k: v * 1 for k, v in arguments.items()}
        got = selective(arguments), path(paths, tokens)
    for a, b in zip(got, expected, strict=True):
        assert not a.requires_grad
        assert torch.equal(a, b)


def test_workers_forked_after_a_parallel_scan(native_on_cpu):
    """The parent's threads do not exist in its children, which must not wait."""
    done = fresh.run(
        """
        import torch
        from torch.utils.data import DataLoader
        from mmssm.ops import selective_scan

        torch.set_num_threads(2)

        class Scans:
            def __len__(self):
                return 4

            def __getitem__(self, item):
                torch.manual_seed(item)
                u, delta = torch.randn(2, 2, 64, 70).requires_grad_()
                B, C = torch.randn(2, 2, 1, 3, 70)
                y = selective_scan(u, delta, -torch.ones(64, 3), B, C,
                                   delta_softplus=True)
                return torch.autograd.grad(y.square().sum(), u)[0]

        scans = Scans()
        expected = torch.stack([scans[i] for i in range(4)])
        loader = DataLoader(scans, 2, num_workers=2, timeout=60,
                            multiprocessing_context='fork')
        assert torch.equal(torch.cat(list(loader)), expected)
        print('same')
        """,
        path=[ROOT],
    )
    assert done.stdout == 'same\n', done.stderr


def test_offsets_beyond_32_bits(native):
    """Rows further apart than an int32 can count; only their pages are touched."""
    apart = 2**31 + 8
    L = 5
    try:
        room = torch.empty(apart + L, dtype=torch.bfloat16)
    except RuntimeError:
        pytest.skip('no address space of 4 GB')
    u = room.as_strided((1, 2, L), (0, apart, 1))
    u.copy_(torch.randn(1, 2, L))
    arguments = selective_arguments(1, 2, L, 3, 1, torch.float32)
    near = selective(arguments | {'u': u.contiguous()})
    assert torch.equal(selective(arguments | {'u': u}), near)
