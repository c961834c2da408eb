"""Causal lifters: no look ahead, and frame by frame as all at once."""

import pytest
import torch
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.backbones import PoseMamba, SasMamba
from mmssm.models.layers import CausalSS2D
from mmssm.ops import _library

VARIANTS = {
    'PoseMamba': (PoseMamba, {}),
    'PoseMamba, no local scan': (PoseMamba, dict(local_scan=False)),
    'SasMamba': (SasMamba, {}),
    'SasMamba, window of 5': (SasMamba, dict(kernel_size=5)),
    'SasMamba, split strides': (SasMamba, dict(stride_mode='split')),
    'SasMamba, graph': (SasMamba, dict(structure_conv='graph')),
    'SasMamba, no convolution': (SasMamba, dict(kernel_size=1)),
    'SasMamba, local order': (SasMamba, dict(local_order=range(17))),
}


def build(name: str, **kwargs) -> nn.Module:
    """A tiny causal model in which nothing is as it begins."""
    torch.manual_seed(0)
    cls, arguments = VARIANTS[name]
    sizes = dict(embed_dims=16, depth=2, num_frames=9, d_state=4)
    model = cls(**sizes | arguments | kwargs, causal=True).eval()
    for table in (model.frame_pos, model.joint_pos):
        nn.init.normal_(table)
    return model


def clip(frames: int, clips: int = 2) -> torch.Tensor:
    return torch.randn(clips, frames, 17, 2, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=VARIANTS)
def model(request):
    return build(request.param)


@torch.no_grad()
def test_no_output_depends_on_later_frames(model):
    """Not in one bit, in the table, at its end and far behind it."""
    x = clip(30)
    before = model(x)
    for frame in (1, 8, 9, 29):
        changed = x.clone()
        changed[:, frame:] += 5
        after = model(changed)
        assert torch.equal(after[:, :frame], before[:, :frame])
        assert not torch.isclose(after[:, frame], before[:, frame]).all(-1).any()


def test_every_earlier_token_is_seen(model):
    x = clip(6, clips=1).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[0, 4, 8].square().sum(), x)
    seen = gradient[0].abs().sum(-1) > 0
    assert seen[:4].all() and seen[4, 8] and not seen[5].any()


@torch.no_grad()
def test_frame_by_frame_is_all_at_once(model):
    x = clip(40)
    state = model.init_stream(2)
    steps = torch.stack([model.step(frame, state) for frame in x.unbind(1)], 1)
    torch.testing.assert_close(steps, model(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize('name', ['PoseMamba', 'SasMamba'])
@torch.no_grad()
def test_a_thousand_frames(name):
    model = build(name, depth=1)
    x = clip(1000, clips=1)
    state = model.init_stream()
    size = state.nbytes
    steps = torch.stack([model.step(frame, state) for frame in x.unbind(1)], 1)
    torch.testing.assert_close(steps, model(x), rtol=0, atol=1e-5)
    assert state.nbytes == size


@torch.no_grad()
def test_pieces_of_any_length(model):
    x = clip(23)
    state = model.init_stream(2)
    pieces = x.split([1, 7, 12, 3], dim=1)
    y = torch.cat([model.step(piece, state) for piece in pieces], 1)
    torch.testing.assert_close(y, model(x), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_state_holds_nothing_but_scans_and_past_frames(model):
    """The names and sizes that there are, whatever has been seen."""
    state = model.init_stream(3)
    mixer = model.spatial_blocks[0].mixer
    assert isinstance(mixer, CausalSS2D)
    sizes = {
        'past': (3, 32, mixer.past_frames, 17),
        'frame_scan': (3, 1, 32, 4),
        'joint_scan': (3, 1, 17, 32, 4),
    }
    expected = {f'layers.{n}.{key}': s for n in range(4) for key, s in sizes.items()}
    expected['seen'] = (3,)
    for _ in range(12):
        assert {k: tuple(v.shape) for k, v in state.state_dict().items()} == expected
        model.step(clip(1, clips=3)[:, 0], state)
    assert state.seen.tolist() == [9, 9, 9]
    storage = sum(t.untyped_storage().nbytes() for t in state.state_dict().values())
    assert storage == state.nbytes


def test_positions_go_on_by_the_last_one():
    model = build('PoseMamba')
    longer = build('PoseMamba', num_frames=20)
    weights = model.state_dict()
    last = weights['frame_pos'][:, -1:].expand(-1, 11, -1)
    weights['frame_pos'] = torch.cat([weights['frame_pos'], last], 1)
    longer.load_state_dict(weights)
    x = clip(20)
    torch.testing.assert_close(model(x), longer(x))


@torch.no_grad()
def test_streams_are_apart_and_begin_anew_one_by_one():
    model = build('SasMamba')
    x = clip(14)
    state = model.init_stream(2)
    model.step(x[:, :6], state)
    state.reset([1])
    y = model.step(x[:, 6:], state)
    torch.testing.assert_close(y[0], model(x[:1])[0, 6:], rtol=0, atol=1e-5)
    torch.testing.assert_close(y[1], model(x[1:, 6:])[0], rtol=0, atol=1e-5)
    state.reset()
    assert not any(tensor.any() for tensor in state.state_dict().values())
    with pytest.raises(IndexError, match='streams 0 to 1, got'):
        state.reset([2])


@torch.no_grad()
def test_a_stream_goes_on_from_saved_tensors(tmp_path):
    model = build('PoseMamba')
    x = clip(12)
    state = model.init_stream(2)
    model.step(x[:, :5], state)
    copy = state.clone()
    torch.save(state.state_dict(), tmp_path / 'state.pt')
    expected = model.step(x[:, 5:], state)

    other = model.init_stream(2)
    other.load_state_dict(torch.load(tmp_path / 'state.pt', weights_only=True))
    assert torch.equal(model.step(x[:, 5:], other), expected)
    assert torch.equal(model.step(x[:, 5:], copy), expected)


def test_states_of_others_are_refused():
    model = build('PoseMamba')
    state = model.init_stream(2)
    with pytest.raises(ValueError, match=r'seen is \(3,\), expected \(2,\)'):
        state.load_state_dict(model.init_stream(3).state_dict())
    with pytest.raises(ValueError, match=r"another model: 'layers\.2\.frame_scan'"):
        state.load_state_dict(build('PoseMamba', depth=1).init_stream(2).state_dict())
    with pytest.raises(ValueError, match='of 2 streams, the frame of 1'):
        model.step(clip(1, clips=1)[:, 0], state)


def test_no_graph_grows_with_the_stream():
    model = build('PoseMamba')
    state = model.init_stream(2)
    assert not model.step(clip(1)[:, 0], state).requires_grad
    assert not any(tensor.requires_grad for tensor in state.state_dict().values())


def test_trains_and_every_weight_has_its_part(model):
    model.train()
    model(clip(9)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


@torch.no_grad()
def test_double_precision_and_autocast():
    for name in ('PoseMamba', 'SasMamba'):
        model = build(name)
        x = clip(12)
        single = model(x)
        state = model.init_stream(2)
        size = state.nbytes
        with torch.autocast('cpu', torch.bfloat16):
            half = model(x)
            torch.testing.assert_close(model.step(x[:, 0], state), half[:, 0])
        assert state.nbytes == size
        assert (half.float() - single).norm() / single.norm() < 0.1
        model.double()
        state = model.init_stream(2)
        double = model.step(x.double(), state)
        assert double.dtype == state.layers[0].frame_scan.dtype == torch.float64
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


def test_what_looks_ahead_is_refused():
    with pytest.raises(ValueError, match='two paths of its own'):
        PoseMamba(embed_dims=16, depth=1, causal=True, scans=('spatial_back',))
    with pytest.raises(ValueError, match='how many follow'):
        SasMamba(embed_dims=16, depth=1, causal=True, interpolate_frames=True)
    model = PoseMamba(embed_dims=16, depth=1)
    with pytest.raises(ValueError, match='build it with causal=True'):
        model.init_stream()
    with pytest.raises(ValueError, match='build it with causal=True'):
        model.step(clip(1)[:, 0], build('PoseMamba').init_stream(2))


def test_wrong_frames_are_refused():
    model = build('PoseMamba')
    state = model.init_stream(1)
    with pytest.raises(ValueError, match='expects 2D joints'):
        model.step(torch.zeros(1, 16, 2), state)
    frame = torch.zeros(1, 17, 2)
    frame[0, 3] = torch.nan
    with pytest.raises(ValueError, match='clip 0, frame 0, joint 3'):
        model.step(frame, state)
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        model.init_stream(0)


@pytest.mark.skipif(
    _library.obstacle('cpu') is not None,
    reason='the reference op is a loop over all steps, which takes long to trace',
)
@torch.no_grad()
def test_a_step_compiles_into_one_graph():
    model = build('SasMamba', depth=1)
    x = clip(3)
    expected = model(x)
    model.step(x[:, 0], model.init_stream(2))  # makes the paths of one frame
    step = torch.compile(model.step, backend='aot_eager', fullgraph=True)
    state = model.init_stream(2)
    steps = torch.stack([step(frame, state) for frame in x.unbind(1)], 1)
    torch.testing.assert_close(steps, expected, rtol=0, atol=1e-5)
