"""DF-Mamba: sizes, outputs, freezing, inits, and what it takes and refuses."""

import copy
import io

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpose.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import mmssm.registry  # noqa: F401
from mmssm.apis.complexity import count
from mmssm.models.backbones import DFMamba
from mmssm.models.layers import DSSM, S6, ConvBlock, GatedConv, RowScan, VSSBlock
from mmssm.ops import _library

SMALL = dict(dims=(8, 16, 16, 32), depths=(1, 1, 2, 1, 1, 1), d_state=2)


def tiny(**kwargs):
    torch.manual_seed(0)
    return DFMamba(**{**SMALL, **kwargs}).eval()


def deformed(model):
    """The model with places and weights of samples that are not those of the start."""
    for module in model.modules():
        if isinstance(module, DSSM):
            nn.init.normal_(module.sample_weight, std=0.1)
    return model


def images(*size, channels=3, batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, channels, *size)


# Of the variants that the paper's numbers leave open, with parameters in millions
# and multiply-accumulates in thousand millions at 224 and 256 pixels as estimated
# from them, before there was code.
VARIANTS = [
    (dict(), 24_806_397, 24.85, 4.89, 6.39),
    (dict(d_state=8), 24_737_277, 24.78, 4.86, 6.35),
    (dict(arch='b'), 26_426_557, 26.47, 5.04, 6.58),
    (dict(arch='b', d_state=1), 26_167_357, 26.21, 4.95, 6.46),
    (
        dict(arch='b', ffn_ratio=3, gated_expand=2, d_state=8),
        26_399_037, 26.46, 5.07, 6.63,
    ),
    (dict(gated_expand=8 / 3, d_state=8), 26_585_052, 26.64, 5.11, 6.67),
    (dict(expand=1.5, gated_expand=1.5), 25_616_477, 25.66, 4.96, 6.48),
    (dict(expand=2, gated_expand=2), 29_202_557, 29.26, 5.40, 7.06),
]  # fmt: skip


@pytest.mark.parametrize('kwargs, params, mparams, gmacs_224, gmacs_256', VARIANTS)
def test_counts(kwargs, params, mparams, gmacs_224, gmacs_256):
    with torch.device('meta'):
        model = DFMamba(**kwargs)
        image = torch.zeros(1, 3, 224, 224)
    found = count(model, image)
    assert found.params == params
    assert params / 1e6 == pytest.approx(mparams, rel=5e-3)
    assert found.macs / 1e9 == pytest.approx(gmacs_224, rel=5e-3)
    # All of it is linear in the number of pixels.
    assert found.macs / 1e9 * 256**2 / 224**2 == pytest.approx(gmacs_256, rel=5e-3)


@pytest.mark.parametrize(
    'arch, macs, scan_macs',
    [('a', 6_367_467_776, 43_417_600), ('b', 6_552_286_976, 86_835_200)],
)
def test_multiply_accumulates_at_256_pixels(arch, macs, scan_macs):
    with torch.device('meta'):
        found = count(DFMamba(arch), torch.zeros(1, 3, 256, 256))
    assert (found.macs, found.scan_macs) == (macs, scan_macs)
    rank, channels = 20, 320 if arch == 'a' else 640
    # Five blocks of 256 tokens, two of 64 of twice the width and rank.
    scans = 5 * 256 * channels * (4 * 16 + 1 + rank)
    assert scan_macs == scans + 2 * 64 * 2 * channels * (4 * 16 + 1 + 2 * rank)


@pytest.mark.parametrize(
    'kwargs, params',
    [
        # Table 7, and the last row of Table 8
        (dict(num_anchors=0), 24_728_448),
        (dict(blocks='CCCCCC'), 44_759_168),
        (dict(blocks='GGGGGG'), 16_608_608),
        (dict(blocks='DDDDDD'), 29_108_081),
        (dict(blocks='CCGGGG'), 17_756_288),
        (dict(blocks='CCDDDD'), 29_706_719),
        (dict(num_anchors=1), 24_737_109),
        (dict(num_anchors=25), 24_944_973),
        # Table 10
        (dict(depths=(3, 3, 5, 6, 2, 2)), 27_889_917),
        # other than the paper's
        (dict(in_channels=1), 24_806_397 - 2 * 9 * 32),
        (dict(out_dim=256), 24_806_397 + 256 * (80 + 160 + 320 + 640 + 4)),
        (dict(offset_groups=4), 24_806_397 + 3 * 27 * (5 * 321 + 2 * 641)),
    ],
)
def test_counts_of_the_rows_of_the_tables(kwargs, params):
    with torch.device('meta'):
        model = DFMamba(**kwargs)
    assert sum(p.numel() for p in model.parameters()) == params


def test_stages_are_what_the_letters_say():
    with torch.device('meta'):
        model = DFMamba()
    assert [len(stage.blocks) for stage in model.stages] == [3, 3, 5, 5, 2, 1]
    kinds = [{type(block) for block in stage.blocks} for stage in model.stages]
    assert kinds == [{ConvBlock}] * 2 + [{VSSBlock}] * 4
    ssms = [
        {type(m.ssm) for m in stage.modules() if isinstance(m, GatedConv)}
        for stage in model.stages
    ]
    assert ssms == [set(), set(), {DSSM}, {nn.Identity}, {DSSM}, {nn.Identity}]
    has_mlp = [block.mlp is not None for block in model.stages[3].blocks]
    assert not any(has_mlp) and model.stages[2].blocks[0].mlp is not None
    inner = [model.stages[i].blocks[0].mixer.out_proj.in_features for i in range(2, 6)]
    assert inner == [320, 640, 640, 1280]
    assert model.stages[2].blocks[0].mixer.ssm.s6.dt_rank == 20
    assert model.stages[4].blocks[0].mixer.ssm.s6.dt_rank == 40


def test_without_anchors_d_blocks_scan_plainly():
    scans = [m.ssm for m in tiny(num_anchors=0).modules() if isinstance(m, GatedConv)]
    assert [type(scan) for scan in scans[:2]] == [RowScan, RowScan]
    assert not any(isinstance(scan, DSSM) for scan in scans)


@pytest.mark.parametrize(
    'size', [(64, 64), (65, 63), (97, 33), (31, 50), (1, 1), (176, 3)]
)
def test_every_size_has_maps_of_its_strides(size):
    maps = tiny()(images(*size))
    assert [m.shape[1] for m in maps] == [8, 16, 16, 32]
    for stride, found in zip((4, 8, 16, 32), maps, strict=True):
        assert found.shape[2:] == tuple(-(-side // stride) for side in size)
        assert found.isfinite().all()


def test_maps_are_those_of_the_stages_named():
    x = images(64, 48)
    whole = tiny(out_indices=range(6))
    maps = whole(x)
    assert [m.shape[1:] for m in maps] == [
        (8, 16, 12), (16, 8, 6), (16, 4, 3), (16, 4, 3), (32, 2, 2), (32, 2, 2),
    ]  # fmt: skip
    for index, expected in enumerate(maps):
        part = tiny(out_indices=(index,))
        part.load_state_dict(whole.state_dict(), strict=False)
        torch.testing.assert_close(part(x), (expected,))


def test_maps_are_normalised():
    for found in tiny()(images(64, 64)):
        torch.testing.assert_close(found.mean(1), torch.zeros(found[:, 0].shape))


def test_all_maps_may_have_one_width():
    maps = tiny(out_dim=12)(images(64, 64))
    assert [m.shape[1:] for m in maps] == [
        (12, 64 // s, 64 // s) for s in (4, 8, 16, 32)
    ]


@pytest.mark.parametrize('blocks', ['CCDGDG', 'CCCCCC', 'GGGGGG', 'DDDDDD', 'CCGGGG'])
def test_every_weight_gets_a_gradient(blocks):
    model = deformed(tiny(blocks=blocks)).train()
    sum(m.square().mean() * m.mean() for m in model(images(64, 64))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('blocks', ['CCDGDG', 'DGCDGC'])
def test_layout_in_memory_changes_nothing(blocks):
    model = deformed(tiny(blocks=blocks))
    x = images(64, 48)
    expected = model(x)
    last = model.to(memory_format=torch.channels_last)
    maps = last(x.to(memory_format=torch.channels_last))
    for found, other in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-5)
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_images_do_not_see_each_other():
    model = deformed(tiny())
    x = images(64, 64, batch=3)
    alone = zip(*(model(image[None]) for image in x), strict=True)
    for together, one_by_one in zip(model(x), alone, strict=True):
        torch.testing.assert_close(
            together, torch.cat(one_by_one), rtol=1e-4, atol=1e-5
        )


def test_depth_images():
    assert tiny(in_channels=1)(images(64, 64, channels=1))[0].shape[1] == 8


@pytest.mark.parametrize(
    'shape', [(2, 1, 64, 64), (2, 4, 64, 64), (3, 64, 64), (2, 64, 64, 3)]
)
def test_wrong_images_are_named(shape):
    with pytest.raises(ValueError, match=r'expects images of shape \(images, 3, .*got'):
        tiny()(torch.zeros(shape))
    with pytest.raises(ValueError, match='in_channels'):
        tiny()(torch.zeros(shape))


def test_images_have_pixels():
    with pytest.raises(ValueError, match='images without pixels'):
        tiny()(torch.zeros(1, 3, 0, 64))


def test_no_images_make_empty_maps():
    assert tiny()(torch.zeros(0, 3, 64, 64))[-1].shape == (0, 32, 2, 2)


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(arch='c'), "unknown arch 'c' of DFMamba"),
        (dict(blocks='CCDGD'), "blocks must hold 6 letters.*got 'CCDGD'"),
        (dict(blocks='CCDGDX'), "got 'CCDGDX'"),
        (dict(depths=(3, 3, 5)), 'depths must hold 6 positive'),
        (dict(depths=(3, 3, 5, 5, 2, 0)), 'depths must hold 6 positive'),
        (dict(dims=(80, 160, 320)), 'dims must hold 4 positive widths'),
        (dict(out_indices=()), 'out_indices must hold stages from 0 to 5'),
        (dict(out_indices=(6,)), 'out_indices must hold stages from 0 to 5'),
        (dict(out_indices=(3, 1)), 'ascending order'),
        (dict(frozen_stages=7), 'frozen_stages must be between -1 and 6, got 7'),
        (dict(num_anchors=4), 'odd number squared'),
        (dict(offset_groups=7), 'divide the 320 channels, got 7'),
        (dict(in_channels=0), 'in_channels must be positive, got 0'),
    ],
)
def test_wrong_arguments_are_refused(kwargs, match):
    with torch.device('meta'), pytest.raises(ValueError, match=match):
        DFMamba(**kwargs)


def test_train_and_eval_return_the_model():
    model = tiny()
    assert model.train() is model and model.training
    assert model.eval() is model and not model.training


@pytest.mark.parametrize('stages', range(-1, 7))
def test_frozen_stages(stages):
    model = tiny(frozen_stages=stages).train()
    parts = [
        [model.stem],
        [model.stages[0], model.downsamples[0]],
        [model.stages[1], model.downsamples[1]],
        [model.stages[2], model.downsamples[2]],
        [model.stages[3], model.downsamples[3]],
        [model.stages[4], model.downsamples[4]],
        [model.stages[5]],
    ]
    for index, part in enumerate(parts):
        for module in part:
            assert module.training == (index > stages)
            assert all(p.requires_grad == (index > stages) for p in module.parameters())
    assert all(p.requires_grad for p in model.out_layers.parameters())
    before = copy.deepcopy(model.state_dict())
    model(images(64, 64))
    changed = {n for n, v in model.state_dict().items() if not v.equal(before[n])}
    assert bool(changed) == (stages < 2)


def test_norm_eval_keeps_the_statistics():
    model = tiny(norm_eval=True).train()
    before = copy.deepcopy(model.state_dict())
    model(images(64, 64))
    assert all(v.equal(before[name]) for name, v in model.state_dict().items())
    assert model.stages[0].blocks[0].training


def test_computing_again_changes_nothing_but_memory():
    x = images(64, 64)
    results = []
    for with_cp in (False, True):
        model = deformed(tiny(with_cp=with_cp, drop_path_rate=0.5)).train()
        torch.manual_seed(2)
        maps = model(x)
        sum(m.square().mean() * m.mean() for m in maps).backward()
        gradients = {n: p.grad for n, p in model.named_parameters()}
        results.append((maps, gradients, dict(model.named_buffers())))
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_drop_path_rises_to_the_last_block():
    model = tiny(drop_path_rate=0.6)
    rates = [block.drop_path.drop_prob for s in model.stages for block in s.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_norms_of_the_config():
    model = tiny(norm_cfg=dict(type='SyncBN'))
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    assert len(norms) == 6 and all(isinstance(m, nn.SyncBatchNorm) for m in norms)


def test_initial_values():
    model = DFMamba(**{**SMALL, 'dims': (8, 16, 64, 64)})
    scans = {name: p.clone() for name, p in model.named_parameters() if '.ssm.' in name}
    model.init_weights()
    for name, parameter in model.named_parameters():
        if name in scans:
            assert torch.equal(parameter, scans[name]), name
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1), name
            assert module.bias is None or not module.bias.any()
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * 9
            std = module.weight.std().item()
            assert std == pytest.approx((2 / fan_out) ** 0.5, rel=0.2), name
        if isinstance(module, DSSM):
            assert not module.sample_weight.any()
            offset, weight = module.samples(torch.randn(1, 2, 64))
            assert not offset.any()
            assert weight[0, 0, 0].tolist() == [0.0] * 4 + [1.0] + [0.0] * 4
        if isinstance(module, S6):
            states = module.A_log.exp()
            torch.testing.assert_close(
                states, torch.tensor([1.0, 2.0]).expand_as(states)
            )
            assert (module.D == 1).all()


def test_at_the_start_the_deformable_scan_is_the_plain_one():
    model, plain = tiny(), tiny(num_anchors=0)
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert all('.ssm.sample_' in name for name in unexpected)
    x = images(64, 64)
    for found, expected in zip(model(x), plain(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_does_not_decay():
    model = tiny()
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            constructor='mmssm.MambaOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1),
        ),
    )
    decays = {
        id(parameter): group['weight_decay'] > 0
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    }
    kept = ('A_log', '.D', 'dt_bias', 'sample_weight', 'sample_bias')
    for name, parameter in model.named_parameters():
        is_norm = '.norm' in name or '.bn.' in name
        assert decays[id(parameter)] == (not is_norm and not name.endswith(kept)), name


def test_state_dict_goes_there_and_back():
    model = deformed(tiny())
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    torch.manual_seed(3)
    other = DFMamba(**SMALL).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    x = images(64, 64)
    torch.testing.assert_close(other(x), model(x), rtol=0, atol=0)


def test_pretrained_weights(tmp_path):
    model = deformed(tiny())
    path = str(tmp_path / 'weights.pth')
    torch.save({'state_dict': model.state_dict()}, path)
    other = MODELS.build(
        dict(
            type='mmssm.DFMamba',
            **SMALL,
            init_cfg=dict(type='Pretrained', checkpoint=path),
        )
    )
    other.init_weights()
    for name, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_double_precision():
    x = images(64, 48)
    single, double = deformed(tiny()), deformed(tiny()).double()
    double.load_state_dict(single.state_dict())
    for found, exact in zip(single(x), double(x.double()), strict=True):
        assert exact.dtype == torch.float64
        torch.testing.assert_close(found.double(), exact, rtol=1e-3, atol=1e-4)


def test_autocast_stays_close_to_full_precision():
    model = deformed(tiny())
    x = images(64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        half = model(x)
    sum(m.float().square().mean() * m.float().mean() for m in half).backward()
    for found, full in zip(half, model(x), strict=True):
        assert (found.float() - full).norm() / full.norm() < 0.05
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_copies_share_no_weights_but_paths():
    model = deformed(tiny())
    x = images(64, 64)
    expected = model(x)
    twin = copy.deepcopy(model)
    nn.init.zeros_(model.stem[0].conv.weight)
    torch.testing.assert_close(twin(x), expected, rtol=0, atol=0)


@pytest.mark.skipif(
    _library.obstacle('cpu') is not None,
    reason='the reference op is a loop over all steps, which takes long to trace',
)
def test_exports_once_the_paths_are_made():
    model = deformed(tiny())
    x = images(64, 48)
    expected = model(x)
    program = torch.export.export(model, (x,))
    for found, other in zip(program.module()(x), expected, strict=True):
        torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-5)
