"""``mmssm list``, ``env``, ``convert`` and ``bench``."""

import json

import pytest
from helpers.modules import ROOT

from mmssm.cli import convert, main


def said(capsys, *arguments, status=0):
    assert main(list(arguments)) == status
    return capsys.readouterr().out


def test_list(capsys):
    text = said(capsys, 'list')
    assert '\nhand_mesh:\n* hamba-small-synthhand ' in text
    assert text.splitlines()[0] == 'body_3d_keypoint:'
    assert text.splitlines()[-1].startswith('models: ')
    assert 'hamba' not in said(capsys, 'list', '--task', 'body_3d_keypoint')
    assert main(['list', '--weights', 'posemamba-s-h36m']) == 1
    printed = capsys.readouterr()
    assert printed.out == '' and 'none with weights here' in printed.err


def test_list_says_all_that_is_known(capsys):
    text = said(capsys, 'list', 'posemamba-s-h36m', '--long')
    for part in ('MPJPE (paper) 41.8', 'arxiv.org', 'mmssm train', 'mmssm convert'):
        assert part in text
    (entry, *_) = json.loads(said(capsys, 'list', 'posemamba-mocap-27frm', '--json'))
    assert entry['alias'] == 'posemamba-mocap-27frm'
    assert entry['weights'].endswith('.safetensors')
    assert entry['metrics']['MPJPE'] > 0


def test_list_of_a_task_that_is_none(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['list', '--task', 'feet'])
    assert ended.value.code == 2
    assert 'hand_mesh' in capsys.readouterr().err


def test_env(capsys, monkeypatch):
    report = {'mmssm': '1', 'stack': 'light'}
    monkeypatch.setattr('mmssm.utils.collect_env.collect_env', lambda: report)
    assert said(capsys, 'env') == 'mmssm: 1\nstack: light\n'
    assert json.loads(said(capsys, 'env', '--json')) == report


def test_converters_are_listed_by_what_they_do(capsys):
    text = said(capsys, 'convert')
    for folder in convert.FOLDERS:
        for path in (ROOT / 'tools' / folder).glob('*.py'):
            line = next(x for x in text.splitlines() if x.split()[0] == path.stem)
            assert len(line.split()) > 3


def test_a_converter_is_run_with_its_arguments(capsys, tmp_path, monkeypatch):
    script = tmp_path / 'mine.py'
    script.write_text(
        '"""Mine."""\nimport argparse, sys\n'
        'def main():\n'
        '    print(sys.argv[1:], argparse.ArgumentParser().prog)\n'
        '    if sys.argv[-1] == "none.bin":\n'
        '        open("none.bin")\n'
        '    sys.exit({"two": 2, "text": "error: not so"}.get(sys.argv[-1]))\n'
    )
    monkeypatch.setattr(convert, 'converters', lambda: {'mine': script})
    printed = said(capsys, 'convert', 'mine', 'a', '--b')
    assert printed == "['a', '--b'] mmssm convert mine\n"
    said(capsys, 'convert', 'mine', 'two', status=2)
    assert main(['convert', 'mine', 'text']) == 1
    assert capsys.readouterr().err == 'error: not so\n'
    assert main(['convert', 'mine', 'none.bin']) == 1
    assert "No such file or directory: 'none.bin'" in capsys.readouterr().err


def test_a_converter_that_does_not_exist(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['convert', 'posmamba'])
    assert ended.value.code == 2
    assert "did you mean 'posemamba'?" in capsys.readouterr().err


def test_converting_what_is_not_there_is_an_error(capsys, tmp_path):
    missing, out = str(tmp_path / 'none.bin'), str(tmp_path / 'out.pth')
    assert main(['convert', 'posemamba', missing, out]) == 1
    assert 'none.bin' in capsys.readouterr().err


def test_bench(capsys):
    small = ['--repeats', '1', '--batch-size', '2', '--threads', '1']
    (row,) = json.loads(
        said(capsys, 'bench', 'posemamba-mocap-27frm', *small, '--json')
    )
    assert row['shape'] == [27, 17, 3]
    assert row['params'] == 131_571
    assert row['latency_ms'] > 0 and row['per_second'] > 0
    text = said(capsys, 'bench', 'hamba-small-synthhand', *small)
    assert 'input 3 x 128 x 128, 2,068,630 parameters' in text
    text = said(
        capsys,
        'bench',
        'posemamba-mocap-27frm',
        '--input-shape',
        '9',
        '17',
        '3',
        *small,
    )
    assert 'input 9 x 17 x 3' in text


def test_bench_of_the_scans(capsys, monkeypatch):
    monkeypatch.setattr('mmssm.apis.speed.SCAN_SHAPES', ((1, 4, 9, 2),))
    (row,) = json.loads(said(capsys, 'bench', 'ops', '--repeats', '1', '--json'))
    assert row['milliseconds']['reference'] > 0
    assert 'selective_scan' in said(capsys, 'bench', 'ops', '--repeats', '1')


@pytest.mark.parametrize(
    'wrong',
    [['--input-shape', '0'], ['--input-shape', '1', '2', '3', '4'], ['--repeats', '0']],
)
def test_bench_of_what_cannot_be(capsys, wrong):
    with pytest.raises(SystemExit) as ended:
        main(['bench', 'posemamba-mocap-27frm', *wrong])
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_bench_of_a_model_that_is_none(capsys):
    assert main(['bench', 'posmamba-mocap']) == 1
    assert 'did you mean' in capsys.readouterr().err
    assert main(['bench', 'ops', '--device', 'warp']) == 1
    assert 'no device' in capsys.readouterr().err
    assert main(['bench', 'posemamba-mocap-27frm', '--input-shape', '9', '5', '3']) == 1
    assert 'posemamba-mocap-27frm' in capsys.readouterr().err
