"""The frame of the ``mmssm`` command: help, exit statuses, errors."""

import argparse
import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.modules import ROOT, load_script

import mmssm
from mmssm import cli
from mmssm.cli import COMMANDS, command_parser, main
from mmssm.utils.errors import UsageError, UserError


def mmssm_command(*arguments, **environment) -> subprocess.CompletedProcess:
    """Runs ``python -m mmssm`` as a program."""
    return subprocess.run(
        [sys.executable, '-m', 'mmssm', *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_help_lists_every_command_and_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['--help'])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for name, text in COMMANDS.items():
        assert re.search(rf'^  {name} +{re.escape(text)}$', said, re.MULTILINE)
    assert 'examples:' in said


def test_help_of_the_frame_imports_nothing_heavy():
    code = (
        'import sys\n'
        'from mmssm.cli import main\n'
        'try: main(["--help"])\n'
        'except SystemExit: pass\n'
        "heavy = {'torch', 'numpy', 'mmengine', 'mmpose', 'cv2', 'yaml'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
    )
    assert 'HEAVY []' in said.stdout, said.stderr


def test_every_module_is_a_command():
    folder = Path(cli.__file__).parent
    modules = {path.stem for path in folder.glob('[a-z]*.py')}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, '--help'])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f'usage: mmssm {name}')
    assert f'    mmssm {name}' in said, 'an example'
    for action in command_parser(name)._actions:
        assert action.help, action.dest


@pytest.mark.parametrize('name', COMMANDS)
def test_commands_say_when_they_are_imported_that_they_need_little(name):
    """What is heavy is imported by ``main``; training and testing build on MMEngine."""
    if name in ('train', 'test'):
        return
    path = Path(find_spec(f'mmssm.cli.{name}').origin)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            assert node.module.split('.')[0] not in {'torch', 'mmpose', 'mmengine'}
            assert not node.module.startswith(('mmssm.apis', 'mmssm.engine'))


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['--version'])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f'mmssm {mmssm.__version__}'


def test_as_a_program():
    listed = mmssm_command('list', '--weights')
    assert listed.returncode == 0
    assert 'posemamba-mocap-27frm' in listed.stdout
    wrong = mmssm_command('lst')
    assert wrong.returncode == 2
    assert "did you mean 'list'?" in wrong.stderr
    nothing = mmssm_command()
    assert nothing.returncode == 2 and 'commands:' in nothing.stderr
    unknown = mmssm_command('list', 'posemambo')
    assert unknown.returncode == 1
    assert unknown.stderr.startswith('error: there is no model')


def test_a_reader_that_stops_early_is_no_error():
    shell = f'{sys.executable} -m mmssm list --long | head -n 1'
    done = subprocess.run(
        ['bash', '-c', shell], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ''
    assert done.stdout.strip()


def test_a_full_disk_is_no_bug():
    shell = f'{sys.executable} -m mmssm list > /dev/full'
    done = subprocess.run(
        ['bash', '-c', shell], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == 'error: [Errno 28] No space left on device\n'


class Broken:
    """A command that fails in one way."""

    __doc__ = 'Fails.'

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('--option')

    def main(self, args: argparse.Namespace) -> int:
        raise self.error


@pytest.mark.parametrize(
    ('error', 'status', 'message'),
    [
        (UserError('no such thing'), 1, 'error: no such thing\n'),
        (SystemExit('error: of the config'), 1, 'error: of the config\n'),
        (PermissionError(13, 'Denied', 'x'), 1, "error: [Errno 13] Denied: 'x'\n"),
        (KeyboardInterrupt(), 130, 'interrupted\n'),
    ],
)
def test_errors_that_are_the_user_s(monkeypatch, capsys, error, status, message):
    monkeypatch.setattr(cli, '_module', lambda name: Broken(error))
    assert main(['env']) == status
    assert capsys.readouterr().err == message


def test_misuse_shows_the_usage(monkeypatch, capsys):
    monkeypatch.setattr(cli, '_module', lambda name: Broken(UsageError('not both')))
    with pytest.raises(SystemExit) as ended:
        main(['env'])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert 'usage: mmssm env' in said and 'not both' in said


@pytest.mark.parametrize('error', [TypeError('a bug'), ImportError('a', name='b')])
def test_bugs_keep_their_traceback(monkeypatch, error):
    monkeypatch.setattr(cli, '_module', lambda name: Broken(error))
    with pytest.raises(type(error)):
        main(['env'])


def test_without_the_host_its_cure_is_named():
    """A command that imports the host, and one that imports our registry first."""
    code = (
        'import importlib.abc, sys\n'
        'class Away(importlib.abc.MetaPathFinder):\n'
        '    def find_spec(self, name, *_):\n'
        "        if name.split('.')[0] in ('mmengine', 'mmcv', 'mmpose'):\n"
        '            raise ModuleNotFoundError(name, name=name)\n'
        'import importlib.util as util\n'
        'found = util.find_spec\n'
        "util.find_spec = lambda name, *a: None if name in ('mmengine', 'mmcv', "
        "'mmpose') else found(name, *a)\n"
        'sys.meta_path.insert(0, Away())\n'
        'from mmssm.cli import main\n'
        'sys.exit(main(sys.argv[1:]))'
    )
    for arguments in (['train', 'c.py'], ['hand', 'README.md', '--bbox', *'1234']):
        done = subprocess.run(
            [sys.executable, '-c', code, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1, done.stderr
        assert 'pip install' in done.stderr
        assert 'Traceback' not in done.stderr


def test_the_page_shows_the_help_of_every_command():
    """``python tools/misc/command_line_page.py`` brings it up to date."""
    tool = load_script('tools/misc/command_line_page.py')
    text = tool.PAGE.read_text()
    for name in COMMANDS:
        assert f'\n## mmssm {name}\n' in text
        options = {
            option
            for action in command_parser(name)._actions
            for option in action.option_strings
            if action.help != argparse.SUPPRESS
        }
        shown = tool.shown_help(text, name)
        assert {option for option in options if option not in shown} == set()
    if sys.version_info[:2] == (3, 11):  # others wrap and order differently
        assert tool.updated(text) == text
