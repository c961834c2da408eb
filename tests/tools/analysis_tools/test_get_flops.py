"""The counting tool, from its command line."""

import sys

import pytest
from helpers.modules import load_script


def run_tool(monkeypatch, capsys, *arguments):
    tool = load_script('tools/analysis_tools/get_flops.py')
    monkeypatch.setattr(sys, 'argv', ['get_flops.py', 'posemamba-s-h36m', *arguments])
    tool.main()
    return capsys.readouterr().out


def test_tool_counts_the_clip_that_the_backbone_is_for(monkeypatch, capsys):
    printed = run_tool(monkeypatch, capsys, '--device', 'meta')
    assert 'Input shape: (1, 243, 17, 2)' in printed
    assert 'MACs: 7.922 G' in printed
    assert 'Params: 1.470 M (1,470,211)' in printed
    assert "Profiler's count, as in the papers: 3.587 G, 0.860 M" in printed
    assert 'backbone.spatial_blocks.9' in printed


def test_tool_takes_shape_batch_and_options(monkeypatch, capsys):
    printed = run_tool(
        monkeypatch,
        capsys,
        *[
            '--shape',
            '27',
            '17',
            '3',
            '--batch-size',
            '2',
            '--show-arch-info',
            '--cfg-options',
        ],
        *['model.backbone.arch=None', 'model.backbone.embed_dims=64'],
        'model.backbone.depth=1',
    )
    assert 'Input shape: (2, 27, 17, 3)' in printed
    assert '(spatial_blocks): ModuleList' in printed


def test_tool_takes_image_models(monkeypatch, capsys, tmp_path):
    config = tmp_path / 'image.py'
    config.write_text(
        "model = dict(type='TopdownPoseEstimator', "
        "backbone=dict(type='ResNet', depth=18), "
        "head=dict(type='HeatmapHead', in_channels=512, out_channels=17))"
    )
    tool = load_script('tools/analysis_tools/get_flops.py')
    for shape, expected in [([], (256, 192)), (['64'], (64, 64))]:
        sizes = ['--input-shape', *shape] if shape else []
        arguments = ['get_flops.py', str(config), '--device', 'meta', *sizes]
        monkeypatch.setattr(sys, 'argv', arguments)
        tool.main()
        assert f'Input shape: {(1, 3, *expected)}' in capsys.readouterr().out


def test_tool_refuses_other_shapes(monkeypatch, capsys):
    with pytest.raises(SystemExit, match='one or two sizes'):
        run_tool(monkeypatch, capsys, '--input-shape', '1', '2', '3', '4')
