"""`torch.compile` makes one graph of every model, whatever its size of input is."""

import pytest
import torch
from helpers.tiny_models import CONFIGS, build, first_alone

from mmssm.apis.onnx_ports import Network, example_shape
from mmssm.models.backbones import PoseMamba
from mmssm.ops import _library

pytestmark = pytest.mark.skipif(
    _library.obstacle('cpu') is not None,
    reason='the reference op is a loop over all steps, which takes long to trace',
)

VARIANTS = {
    **{family: (family, {}) for family in CONFIGS},
    'released gradient': ('PoseMamba', dict(local_grad='identity')),
    'no local order': ('PoseMamba', dict(local_scan=False, scans=('temporal',))),
    'stretched table': ('PoseMamba', dict(num_frames=2, interpolate_frames=True)),
    'split strides': ('SasMamba', dict(stride_mode='split', kernel_size=1)),
    'graph convolution': ('SasMamba', dict(structure_conv='graph')),
    'plain scan': ('DFMamba', dict(num_anchors=0)),
    'causal': ('PoseMamba', dict(causal=True)),
    'causal samples': ('SasMamba', dict(causal=True)),
}


@pytest.fixture(autouse=True)
def fresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def inputs(family, model):
    """Inputs of the model's own size, and of another one where it takes any."""
    shape = example_shape(model)
    torch.manual_seed(0)
    first = torch.rand(2, *shape)
    if family in ('PoseMamba', 'SasMamba'):
        return [first, torch.rand(1, 2, *shape[1:])]
    if family == 'Hamba':
        return [first, torch.rand(3, *shape)]
    return [first, torch.rand(2, 3, 32, 40)]


@pytest.mark.parametrize('variant', first_alone(VARIANTS, 4))
def test_one_graph_at_once(variant):
    family, changes = VARIANTS[variant]
    network = Network(build(family, **changes))
    if 'num_frames' in changes:
        network.model.backbone.num_frames = changes['num_frames']
    compiled = torch.compile(network, backend='eager', fullgraph=True)
    with torch.no_grad():
        for x in inputs(family, network.model):
            # compiled first: nothing may be there that a run before has made
            found = compiled(x)
            for one, other in zip(found, network(x), strict=True):
                torch.testing.assert_close(one, other)


@pytest.mark.parametrize('family', first_alone(CONFIGS))
def test_training_is_one_graph_too(family):
    network = Network(build(family)).train()
    x = inputs(family, network.model)[0]
    compiled = torch.compile(network, backend='aot_eager', fullgraph=True)
    sum(output.square().sum() for output in compiled(x)).backward()
    found = {
        n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None
    }
    assert found
    network.zero_grad()
    sum(output.square().sum() for output in network(x)).backward()
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(
                found[name], parameter.grad, rtol=1e-3, atol=1e-4
            )


def test_sizes_that_a_compiler_would_keep_open():
    model = PoseMamba(embed_dims=8, depth=1, num_frames=9, d_state=2).eval()
    compiled = torch.compile(model, backend='eager', fullgraph=True, dynamic=True)
    for clips, frames in ((2, 3), (3, 5), (4, 9), (2, 3)):
        x = torch.rand(clips, frames, 17, 2)
        torch.testing.assert_close(compiled(x), model(x))


def test_exports_without_a_run_before():
    model = PoseMamba(embed_dims=8, depth=1, num_frames=3, d_state=2).eval()
    x = torch.rand(2, 3, 17, 2)
    batch = torch.export.Dim('batch', min=1)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
    # The paths that were made meanwhile have values, for runs after it too.
    x = torch.rand(3, 3, 17, 2)
    torch.testing.assert_close(program.module()(x), model(x))
