"""What runs the blocks of one page, in a process of its own."""

import argparse
import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from helpers import page_scenery
from helpers.pages import (
    REPOSITORY,
    Block,
    are_continued,
    blocks,
    commands,
    filled_in,
)

_UNCHECKED = ('.', 'apt-get', 'pip', 'python3')
"""Programs of others, whose arguments nothing here can check."""


class BlockError(Exception):
    """A block does not do what the page says."""


class _Accepted(BaseException):
    """A parser took its arguments; nothing has been done yet."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.accepted = args


def main(page: str, report: str) -> None:
    """Runs the blocks of a page in the working directory.

    Args:
        page: Path of the page in the repository.
        report: File for a list of what went wrong, as JSON.
    """
    import torch

    torch.set_num_threads(1)
    page_scenery.prepare(page)
    wrong = []
    shared: dict[str, object] | None = {} if are_continued(page) else None
    for block in blocks(page):
        try:
            _do(block, {} if shared is None else shared)
        except Exception as error:
            text = str(error) or traceback.format_exc()
            if not isinstance(error, BlockError):
                text = traceback.format_exc()
            wrong.append(f'{block.place}: {text}')
    Path(report).write_text(json.dumps(wrong))


def _do(block: Block, names: dict[str, object]) -> None:
    text = filled_in(block.text, page_scenery.values(block.page))
    if block.language == 'python':
        code = compile(text, block.place, 'exec')
        if block.when == 'always':
            _run_python(text, code, names)
    elif block.language == 'bash':
        for words in commands(text):
            check(words)
            if block.when == 'always':
                run_apart(words)


def _run_python(text: str, code: object, names: dict[str, object]) -> None:
    if text.startswith('_base_'):
        _build_config(text)
    else:
        names['__name__'] = '__main__'
        exec(code, names)


def _build_config(text: str) -> None:
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    from mmssm.registry import MODELS

    Path('config_of_the_page.py').write_text(text)
    with DefaultScope.overwrite_default_scope('mmpose'):
        MODELS.build(Config.fromfile('config_of_the_page.py').model)


def check(words: list[str]) -> None:
    """Checks that a command is there and takes its arguments.

    Raises:
        BlockError: It is not or does not.
    """
    program, arguments = words[0], words[1:]
    if program in _UNCHECKED:
        return
    if program == 'make':
        _check_make(arguments)
    elif program.endswith('.sh'):
        _check_script(program, arguments)
    elif '-c' not in arguments[:1] and not _wants_help(arguments):
        _check_names(_parsed(words))


def _wants_help(arguments: list[str]) -> bool:
    return any(word in ('--help', '--version') for word in arguments)


def _check_make(arguments: list[str]) -> None:
    done = subprocess.run(
        ['make', '-n', *arguments], cwd=REPOSITORY, capture_output=True, text=True
    )
    if done.returncode:
        raise BlockError(done.stderr)


def _check_script(program: str, arguments: list[str]) -> None:
    path = REPOSITORY / program
    if not os.access(path, os.X_OK):
        raise BlockError(f'there is no program {program}')
    if path.name == 'gpu_check.sh':
        check(['python', '-m', 'benchmarks.gpu_check', *arguments])
    elif path.name.startswith('dist_'):
        tool = path.stem.removeprefix('dist_')
        processes = 1 if tool == 'train' else 2  # the place among the arguments
        if len(arguments) <= processes:
            raise BlockError(f'{program} wants the number of processes')
        rest = arguments[:processes] + arguments[processes + 1 :]
        check(['python', f'tools/{tool}.py', *rest])
    else:
        raise BlockError(f'no check is known for {program}')


def _parsed(words: list[str]) -> argparse.Namespace:
    """What a command's parser makes of its arguments; no more of it is run."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, args=None, namespace=None) -> NoReturn:
        found = parse(parser, args, namespace)
        if parser.prog == 'mmssm' or hasattr(found, 'converter'):
            return found  # a parser of the command itself comes behind it
        raise _Accepted(found)

    said = io.StringIO()
    argparse.ArgumentParser.parse_args = stop
    try:
        with contextlib.redirect_stderr(said):
            run(words)
    except _Accepted as error:
        return error.accepted
    except SystemExit as error:
        raise BlockError(f'{" ".join(words)}: {said.getvalue()}{error}') from None
    finally:
        argparse.ArgumentParser.parse_args = parse
    raise BlockError(f'{" ".join(words)} reads no arguments {said.getvalue()}')


def _check_names(args: argparse.Namespace) -> None:
    from mmssm.apis.catalog import resolve_config
    from mmssm.utils.errors import UserError

    for key, value in vars(args).items():
        try:
            if key in ('config', 'model') and value is not None:
                resolve_config(value)
        except UserError as error:
            raise BlockError(str(error)) from None
        for word in value if isinstance(value, list) else [value]:
            inside = str(word).startswith(('configs/', 'docs/', 'tools/'))
            if inside and not (REPOSITORY / str(word)).exists():
                raise BlockError(f'there is no {word}')


def run(words: list[str]) -> int:
    """Runs a command of Python in this process.

    Returns:
        Its exit status.

    Raises:
        BlockError: The program is not one of Python.
        SystemExit: It ended so.
    """
    program, arguments = words[0], words[1:]
    if program == 'mmssm':
        from mmssm.cli import main as cli

        return cli(arguments)
    if program != 'python':
        raise BlockError(f'{program} is not a command of this project')
    with _arguments(words[2:] if words[1] == '-m' else words[1:]):
        if words[1] == '-m':
            runpy.run_module(words[2], run_name='__main__', alter_sys=True)
            return 0
        path = REPOSITORY / words[1]
        if not path.is_file():
            raise BlockError(f'there is no {words[1]}')
        sys.path.insert(0, str(path.parent))
        runpy.run_path(str(path), run_name='__main__')
    return 0


@contextlib.contextmanager
def _arguments(arguments: list[str]) -> Iterator[None]:
    before, path = sys.argv, list(sys.path)
    sys.argv = arguments
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before, path


def run_apart(words: list[str]) -> None:
    """Runs a command in a process of its own, which begins where this one is.

    Raises:
        BlockError: Its exit status is not 0.
    """
    log = Path('log_of_the_command.txt')
    child = os.fork()
    if not child:
        os._exit(_exit_status(log, lambda: run(words)))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        tail = log.read_text()[-2000:]
        raise BlockError(f'{" ".join(words)} ended with status {status}\n{tail}')


def _exit_status(log: Path, work: Callable[[], int]) -> int:
    with open(log, 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        status = work()
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status
