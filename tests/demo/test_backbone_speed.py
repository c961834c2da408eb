"""The backbone benchmark on small networks."""

import json

import pytest
import torch
from helpers.modules import load_script
from mmpose.registry import MODELS

TINY = dict(
    type='mmssm.VMamba',
    embed_dims=8,
    depths=(1, 1, 1, 1),
    out_indices=(3,),
    drop_path_rate=0.0,
)


@pytest.fixture
def script(monkeypatch):
    script = load_script('benchmarks/models/backbones.py')
    monkeypatch.setattr(
        script,
        'NETWORKS',
        {
            'DF-Mamba-a': TINY,
            'ResNet-50': dict(
                type='ResNet', depth=18, stem_channels=8, base_channels=8
            ),
            'ConvNeXt-T': dict(type='no_such_package.ConvNeXt'),
        },
    )
    monkeypatch.setattr(script, 'PEER', 'no_such_package')
    monkeypatch.setattr(script, 'GATE_SIZE', 64)
    return script


ARGUMENTS = [
    *('--batches', '1', '2', '--seconds', '0', '--threads', '1'),
    *('--sizes', '64', '80'),
]


def run(script, out, *more):
    script.main(['--out', str(out), *ARGUMENTS, *more])
    return json.loads((out / 'backbones.json').read_text())


def test_the_networks_are_of_the_sizes_that_they_are_known_for():
    script = load_script('benchmarks/models/backbones.py')
    known = {
        'DF-Mamba-a': 24.85e6,
        'VMamba-T': 29.48e6,
        'ResNet-50': 23.51e6,
        'ResNet-152': 58.14e6,
        'ConvNeXt-T': 27.82e6,
        'ConvNeXt-S': 49.45e6,
        'Swin-T': 27.52e6,
        'ViT-S': 21.67e6,
    }
    for name, params in known.items():
        if not script.is_installed(name):
            continue
        # MMPretrain's networks read numbers while they are built.
        is_peer = script.NETWORKS[name]['type'].startswith('mmpretrain')
        with torch.device('cpu' if is_peer else 'meta'):
            network = script.build(name, 128)
        count = sum(parameter.numel() for parameter in network.parameters())
        assert count == pytest.approx(params, rel=0.006), name


def test_all_in_one_table(script, tmp_path, capsys):
    result = run(script, tmp_path, '--no-memory')
    assert list(result['networks']) == ['DF-Mamba-a', 'ResNet-50']
    resnet = result['networks']['ResNet-50']
    network = script.build('ResNet-50', 64)
    assert resnet['params'] == sum(p.numel() for p in network.parameters())
    assert list(resnet['macs']) == ['64', '80']
    assert 3e6 < resnet['macs']['64'] < resnet['macs']['80'] < 1e7
    assert len(result['cases']) == 8
    for case in result['cases']:
        assert not case['failed']
        for times in case['times'].values():
            assert set(times) == {'contiguous', 'channels_last'}
            assert all(milliseconds > 0 for milliseconds in times.values())
    assert [(row['case'], row['gate'], row['aim']) for row in result['gates']] == [
        ('64 px, batch 1', 0.8, 1.0),
        ('64 px, batch 2', 0.8, 1.0),
    ]
    for row in result['gates']:
        details = row['details']
        best = {
            name: min(details[f'{name} contiguous'], details[f'{name} channels_last'])
            for name in ('DF-Mamba-a', 'ResNet-50')
        }
        assert row['value'] == best['ResNet-50'] / best['DF-Mamba-a']
        assert row['met'] in ('aim', 'yes', '**no**')
    page = (tmp_path / 'backbones.md').read_text()
    assert page == capsys.readouterr().out.partition('\n\n')[2].removesuffix('\n')
    assert f'| ResNet-50 | {resnet["params"]:,} | 0.00 G | 0.01 G | - / - |' in page
    assert '| network | 64 px x 1 | 64 px x 2 | 80 px x 1 | 80 px x 2 |' in page
    assert '## Inference' in page and '## Training' in page


def test_a_run_goes_on_where_it_was_stopped(script, tmp_path, monkeypatch):
    measured = []

    def fake(names, mode, size, batch, args):
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append((mode, size, batch))
        times = {name: {'contiguous': 2.0, 'channels_last': 1.0} for name in names}
        return dict(mode=mode, size=size, batch=batch, times=times, failed={})

    monkeypatch.setattr(script, 'measure_case', fake)
    with pytest.raises(KeyboardInterrupt):
        run(script, tmp_path, '--no-memory')
    assert len(json.loads((tmp_path / 'backbones.json').read_text())['cases']) == 3
    first = measured.copy()
    measured.clear()
    result = run(script, tmp_path, '--no-memory', '--modes', 'inference')
    assert measured == [('inference', 80, 2)] and len(result['cases']) == 4
    # What is not asked for this time stays.
    result = run(
        script, tmp_path, '--no-memory', '--sizes', '64', '--modes', 'inference'
    )
    assert len(result['cases']) == 4 and len(measured) == 1
    assert list(result['networks']['ResNet-50']['macs']) == ['64', '80']
    # Figures of another machine or commit do not count.
    monkeypatch.setattr(script, 'describe', lambda args: dict(machine='another'))
    measured.clear()
    result = run(
        script, tmp_path, '--no-memory', '--sizes', '64', '--modes', 'inference'
    )
    assert measured == first[:2] and len(result['cases']) == 2


def test_memory_of_a_process_of_its_own(tmp_path, monkeypatch):
    script = load_script('benchmarks/models/backbones.py')
    args = script.parse_args(
        [*('--out', str(tmp_path), '--networks', 'ResNet-50', '--threads', '1'),
         *('--sizes', '64', '--batches', '2', '--modes', 'inference')]
    )  # fmt: skip
    taken = script.memory_apart('ResNet-50', 'channels_last', args)
    assert list(taken) == ['inference'] and 0 < taken['inference'] < 60
    monkeypatch.setattr(script.sys, 'executable', 'false')
    with pytest.raises(RuntimeError, match='measuring ResNet-50 failed'):
        script.memory_apart('ResNet-50', 'channels_last', args)


def test_memory_is_asked_for_where_it_is_wanted(script, tmp_path, monkeypatch):
    def fake(name, layout, args):
        assert layout in script.LAYOUTS and args.threads == 1
        return dict(inference=3.4, training=50.0 + len(name))

    monkeypatch.setattr(script, 'memory_apart', fake)
    result = run(script, tmp_path, '--sizes', '64', '--modes', 'inference')
    page = script.report(result)
    assert '| DF-Mamba-a |' in page and ' G | 3 / 60 |' in page and '3 / 59 |' in page


def test_what_cannot_be_measured_is_named(script, tmp_path, monkeypatch):
    original = script.work

    def failing(network, images, layout, mode):
        if isinstance(network, MODELS.get('ResNet')):
            raise RuntimeError('out of memory\nin detail')
        return original(network, images, layout, mode)

    monkeypatch.setattr(script, 'work', failing)
    result = run(
        script, tmp_path, '--no-memory', '--sizes', '64', '--modes', 'inference'
    )
    assert result['cases'][0]['failed'] == {'ResNet-50': 'out of memory'}
    assert result['gates'] == []
    assert '- not measured: ResNet-50, out of memory' in script.report(result)


@pytest.mark.parametrize(
    'arguments, match',
    [
        (['--sizes', '0'], '--sizes must be at least 1, got 0'),
        (['--threads', '0'], '--threads must be at least 1'),
        (['--networks', 'ConvNeXt-T'], 'ConvNeXt-T need no_such_package, which is not'),
        (['--networks', 'AlexNet'], 'invalid choice'),
    ],
)
def test_wrong_arguments(script, capsys, arguments, match):
    with pytest.raises(SystemExit):
        script.parse_args(['--out', 'x', *arguments])
    assert match in capsys.readouterr().err
