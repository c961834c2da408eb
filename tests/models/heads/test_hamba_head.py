"""Hamba's head."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from helpers import hand_meshes
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.apis.complexity import count
from mmssm.models.heads.hamba_head import FUSION
from mmssm.models.layers import CropMap

SMALL = dict(
    type='mmssm.HambaHead',
    in_channels=6,
    embed_dims=8,
    regressor_depths=(1, 1),
    num_gss=2,
    gss_depth=1,
    feat_size=(4, 3),
    crop_size=64,
)


def head(**arguments):
    torch.manual_seed(0)
    return MODELS.build(SMALL | arguments)


def feats(batch=2):
    generator = torch.Generator().manual_seed(1)
    return (None, torch.randn(batch, 6, 4, 3, generator=generator))


def pairs(predictions, others):
    """Tensors of two outputs, side by side."""
    flat = (itertools.chain(*output) for output in (predictions, others))
    return zip(*flat, strict=True)


def samples(count=2):
    every = hand_meshes.labels(count, dtype=torch.float32)
    made = []
    for number in range(count):
        one = PoseDataSample(metainfo=dict(input_size=(64, 64)))
        one.gt_instance_labels = InstanceData(
            **{name: value[number : number + 1] for name, value in every.items()}
        )
        made.append(one)
    return made


def full_size(**arguments):
    with torch.device('meta'):
        return MODELS.build(dict(type='mmssm.HambaHead', in_channels=1280) | arguments)


def size(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


class TestCounts:
    """The published sizes, and sums by hand."""

    # C = 512, inner 1024, four paths with a step of rank 32 and one state
    scan = 4 * (1024 * (32 + 2) + 1024 * 32 + 3 * 1024)
    mixer = 2 * 512 * 1024 + 9 * 1024 + scan + 2 * 1024
    block = mixer + 2 * 2 * 512 + (512 + 1) * 2048 + (2048 + 1) * 512
    graph = 2 * 21 * 512**2 + 40 + 21 + 512 + 2 * 512

    def test_parameters(self):
        made = full_size()
        linears = 96 + 10 + 3
        first = made.decoder.stages[0]
        assert size(first.gcn, first.norm) == self.graph
        assert [size(b) for b in first.blocks] == [self.block] * 2
        regressor = 8 * self.block + 4 * 1024 + (512 + 1) * linears
        decoder = 4 * (self.graph + 2 * self.block + 1024) + (1578 + 1) * linears
        assert size(made.joints_regressor) == regressor
        assert size(made.decoder, made.regressor) == decoder
        counts = {
            0.92: size(made.reducer),
            27.61: regressor,
            0.53: size(made.token_sampler),
            71.78: decoder,
            11.01: self.graph,
            6.89: 2 * self.block,
        }
        for published, counted in counts.items():
            assert round(counted / 1e6, 2) == published
        # with ViT-H and the discriminator; the paper has 733
        whole = 630.91 + size(made) / 1e6 + 1.55
        assert round(whole, 1) == 733.3

    def test_multiply_accumulates(self):
        class Of(nn.Module):
            def __init__(self, head):
                super().__init__()
                self.head = head

            def forward(self, x):
                return self.head((x,))

        x = torch.zeros(1, 1280, 16, 12, device='meta')
        macs = count(Of(full_size()), x).by_module
        decoder = macs['head.decoder'] + macs['head.regressor']
        regressor = macs['head.joints_regressor']
        matrices = 2 * 512 * 1024 + 2 * 512 * 2048 + 4 * 1024 * (32 + 2 + 32)
        token = matrices + 9 * 1024
        step = 4 * 1024 * (4 + 1)  # decay, drive, read-out, exponential; skip
        graphs = 4 * (2 * 21 * 512**2 + 21 * 21 * 512)
        assert decoder == 8 * 22 * (token + step) + graphs + 1578 * 109
        assert regressor == 8 * 192 * (token + step) + 512 * 109
        # the paper's 649 M, and its profiler's rule, which has no scans
        assert decoder / 1e6 == pytest.approx(649, rel=0.005)
        assert (decoder - 8 * 22 * step) / 1e6 == pytest.approx(647, rel=0.005)
        assert (regressor - 8 * 192 * step) / 1e9 == pytest.approx(5.26, rel=0.005)

    @pytest.mark.parametrize(
        'row, arguments, change',
        [
            ('tokens', dict(fusion=('gss', 'joints', 'global')), -512 * 109),
            ('joints', dict(fusion=('gss', 'global', 'tokens')), -42 * 109),
            ('global', dict(fusion=('gss', 'joints', 'tokens')), -512 * 109),
            (
                'gss',
                dict(fusion=('joints', 'global', 'tokens')),
                -512 * 109 - 4 * (graph + 2 * block + 1024),
            ),
            (
                'sampler',
                dict(token_sampler=False, fusion=('gss', 'joints', 'global')),
                -512 * 109 - 526_336,
            ),
            ('one way', dict(bidirectional=False), -8 * scan // 2),
            ('no graph', dict(graph_conv=False), -4 * graph),
            ('shuffled', dict(scan_order=tuple(range(20, -1, -1))), 0),
            ('no scan', dict(gss_depth=0), -8 * block),
            ('attention', dict(mixer='attention'), -8 * (mixer - 4 * 512 * 513)),
        ],
    )
    def test_every_row_of_the_ablations(self, row, arguments, change):
        assert size(full_size(**arguments)) - size(full_size()) == change


def test_what_the_fusion_takes_and_in_which_order():
    model = head().eval()
    seen = {}

    def keep(name):
        def hook(module, inputs, output):
            seen[name] = inputs[0], output

        return hook

    for name in ('reducer', 'token_sampler', 'decoder', 'regressor'):
        getattr(model, name).register_forward_hook(keep(name))
    with torch.no_grad():
        first, last = model(feats())
    features, tokens = seen['reducer'][1], seen['token_sampler'][1]
    mean = features.mean((2, 3))
    torch.testing.assert_close(
        seen['decoder'][0], torch.cat([tokens, mean[:, None]], 1)
    )
    expected = [
        seen['decoder'][1].mean(1),
        first.keypoints.reshape(2, 42),
        mean,
        tokens.mean(1),
    ]
    torch.testing.assert_close(seen['regressor'][0], torch.cat(expected, 1))
    # both add to the mean hand
    _pose, _betas, cam = seen['regressor'][1]
    torch.testing.assert_close(last.cam, cam)
    torch.testing.assert_close(
        cam,
        torch.tensor([4.0, 0, 0]) + model.regressor.cam(torch.cat(expected, 1)),
    )


def test_tokens_are_read_where_the_joints_are():
    model = head().eval()
    read = model.token_sampler.sample
    with torch.no_grad():
        x = model.reducer(feats()[-1])
        first, _ = model(feats())
        tokens = model.token_sampler(x, first.keypoints)
        place = CropMap((4, 3), crop_size=64).grid(first.keypoints)
        by_hand = nn.functional.grid_sample(x, place[:, None], align_corners=False)
    torch.testing.assert_close(read(x, first.keypoints), by_hand[:, :, 0])
    assert tokens.shape == (2, 21, 8)


VARIANTS = {
    'whole': {},
    'attention': dict(mixer='attention'),
    'one-way': dict(bidirectional=False),
    'no-graph': dict(graph_conv=False),
    'shuffled': dict(scan_order=[*range(20, -1, -1)]),
    'no-scan': dict(gss_depth=0),
    'no-sampler': dict(token_sampler=False, fusion=('gss', 'joints', 'global')),
    'regressor alone': dict(fusion=()),
    **{
        f'without {term}': dict(fusion=tuple(t for t in FUSION if t != term))
        for term in FUSION
    },
}


@pytest.mark.parametrize('arguments', VARIANTS.values(), ids=VARIANTS)
def test_each_variant_trains_all_that_is_not_frozen(arguments):
    model = head(drop_path_rate=0.1, **arguments).train()
    with torch.no_grad():  # away from the start, where gradients could vanish
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    losses = model.loss(feats(), samples())
    assert all(value.isfinite() for value in losses.values())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    sum(losses.values()).backward()
    optimizer.step()
    dead = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    frozen = ('gcn.own_logits', 'norms.0.weight', 'norms.0.bias')
    assert all(name.endswith(frozen) for name in dead), dead


def test_frozen_is_what_does_nothing():
    model = head().eval()
    with torch.no_grad():
        before = model(feats())
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.normal_()
        after = model(feats())
    for one, other in zip(
        itertools.chain(*before), itertools.chain(*after), strict=False
    ):
        assert torch.equal(one, other)


def test_the_fusion_trains_the_regressor_through_its_joints():
    """2D joints are not detached there, but where tokens are sampled."""
    for fusion, reaches in ((('joints',), True), (('tokens',), False)):
        model = head(fusion=fusion).train()
        model.regressor.pose.weight.data.normal_()
        _, last = model(feats())
        last.hand_pose.square().sum().sub(last.joints.sum()).backward()
        cam = model.joints_regressor.regressor.cam.weight.grad
        assert (cam is not None and bool(cam.any())) == reaches


def test_drop_path_rises_and_is_of_training():
    model = head(drop_path_rate=0.4, gss_depth=2)
    rates = [
        module.drop_prob
        for module in model.modules()
        if type(module).__name__ == 'DropPath'
    ]
    expected = [0, 0.4, 0, 0.4 / 3, 0.8 / 3, 0.4]
    assert rates == pytest.approx(expected)
    model.init_weights()
    with torch.no_grad():
        for parameter in model.regressor.parameters():
            parameter.normal_()
        model.eval()
        same = [model(feats())[-1].cam for _ in range(2)]
        model.train()
        drawn = [model(feats())[-1].cam for _ in range(8)]
    assert torch.equal(*same)
    assert any(not torch.equal(drawn[0], other) for other in drawn[1:])


def test_one_crop_trains():
    model = head().train()
    losses = model.loss(feats(1), samples(1))
    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())


def test_the_loss_falls():
    model = head().train()
    model.init_weights()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    totals = []
    for _ in range(15):
        total = sum(model.loss(feats(), samples()).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]


def test_losses_of_both_predictions():
    model = head()
    losses = model.loss(feats(), samples())
    names = ['keypoints_2d', 'keypoints_3d', 'global_orient', 'hand_pose', 'betas']
    assert set(losses) == {
        f'{prefix}loss_{name}' for prefix in ('', 'aux_') for name in names
    }
    predictions = model(feats())
    labels = hand_meshes.labels(2, dtype=torch.float32)
    expected = model.loss_module(predictions[1], labels)
    torch.testing.assert_close({name: losses[name] for name in expected}, expected)
    aux = model.loss_module(predictions[0], labels, prefix='aux_')
    torch.testing.assert_close({name: losses[name] for name in aux}, aux)
    alone = head(fusion=())
    assert set(alone.loss(feats(), samples())) == {f'loss_{name}' for name in names}


def test_labels_are_those_of_one_codec():
    made = samples()
    del made[1].gt_instance_labels.betas
    with pytest.raises(ValueError, match='sample 1 of the batch has the labels'):
        head().loss(feats(), made)


def test_predictions():
    model = head().eval()
    with torch.no_grad():
        preds = model.predict(feats(), samples())
        expected = model(feats())[-1]
    shapes = dict(
        keypoints=(1, 21, 2),
        keypoint_scores=(1, 21),
        keypoints_3d=(1, 21, 3),
        mesh_vertices=(1, model.mano.num_vertices, 3),
        mano_global_orient=(1, 1, 3, 3),
        mano_hand_pose=(1, 15, 3, 3),
        mano_betas=(1, 10),
        pred_cam=(1, 3),
        cam_t=(1, 3),
    )
    for number, pred in enumerate(preds):
        assert {name: value.shape for name, value in pred.items()} == shapes
        assert all(isinstance(value, np.ndarray) for value in pred.values())
        pixels = (expected.keypoints[number, None].numpy() + 0.5) * 64
        np.testing.assert_allclose(pred.keypoints, pixels, rtol=1e-6)
        assert (pred.keypoint_scores == 1).all()
        np.testing.assert_array_equal(
            pred.mesh_vertices[0], expected.vertices[number].numpy()
        )


def test_what_cannot_be_predicted():
    model = head().eval()
    with pytest.raises(ValueError, match='HambaHead has no flip_test'):
        model.predict(feats(), samples(), dict(flip_test=True))
    made = samples()
    made[1].set_metainfo(dict(input_size=(48, 64)))
    with pytest.raises(ValueError, match=r'sample 1 of the batch with 48 x 64'):
        model.predict(feats(), made)


def test_autocast():
    model = head().eval()
    with torch.no_grad():
        exact = model(feats())
        with torch.autocast('cpu', torch.bfloat16):
            cast = model(feats())
    for one, other in zip(
        itertools.chain(*exact), itertools.chain(*cast), strict=False
    ):
        assert other.dtype == torch.float32
        assert (one - other).abs().max() < 0.02 * max(1, one.abs().max())
    model.train()
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(feats(), samples())
    sum(losses.values()).backward()
    assert all(
        p.grad.isfinite().all() for p in model.parameters() if p.grad is not None
    )


@pytest.mark.parametrize('shape', [(2, 6, 4, 4), (2, 6, 5, 3), (2, 5, 4, 3), (6, 4, 3)])
def test_another_map_is_refused(shape):
    with pytest.raises(ValueError, match=r'a feature map \(N, 6, 4, 3\).*feat_size'):
        head()((torch.zeros(shape),))


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(arch='huge'), "unknown arch 'huge' of HambaHead"),
        (dict(embed_dims=0), 'embed_dims must be at least 1'),
        (dict(num_gss=0), 'num_gss must be at least 1'),
        (dict(regressor_depths=(1, 0)), 'regressor_depths must be at least 1'),
        (dict(gss_depth=-1), 'gss_depth must not be negative'),
        (dict(fusion=('gss', 'mesh')), 'fusion must hold different names'),
        (dict(fusion=('gss', 'gss')), 'fusion must hold different names'),
        (dict(token_sampler=False), "leave 'tokens' out of fusion"),
        (dict(mixer='conv'), "mixer must be 'scan' or 'attention'"),
        (dict(mixer='attention', bidirectional=False), 'sees all tokens at once'),
        (dict(feat_size=(4, 2), crop_columns=(0, 64)), 'is not one of the 64 rows'),
        (dict(sampling_x_pad='paper'), "sampling_x_pad must be 'exact'"),
    ],
)
def test_what_cannot_be_built(arguments, message):
    with pytest.raises(ValueError, match=message):
        head(**arguments)


def test_features_of_the_whole_square():
    model = head(feat_size=(2, 2), stride=32)
    assert model.crop_map.crop_columns == (0, 64)
    first, last = model((torch.randn(1, 6, 2, 2),))
    assert last.keypoints.shape == first.keypoints.shape == (1, 21, 2)


def test_modes_copies_and_weights():
    model = head()
    assert model.train() is model and model.training
    assert model.eval() is model and not model.training
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        one, other = model(feats()), twin(feats())
    assert torch.equal(one[-1].vertices, other[-1].vertices)
    assert not [key for key in model.state_dict() if 'mano' in key or 'mean_' in key]


def test_initial_weights():
    model = head(embed_dims=64)
    model.init_weights()
    weight = model.decoder.stages[0].blocks[0].mlp.fc1.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.15)
    bound = 0.01 * math.sqrt(6 / (64 + 96))
    assert 0 < model.joints_regressor.regressor.pose.weight.abs().max() <= bound
    with torch.no_grad():
        last = model.eval()(feats())[-1]
    assert (last.cam - torch.tensor([4.0, 0, 0])).abs().max() < 0.5
