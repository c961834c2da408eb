"""The ``mmssm`` command: a frame around one module for each subcommand.

A subcommand is a module of this package of the same name with
``add_arguments(parser)`` and ``main(args) -> int``; its docstring is its help. It is
imported when it is called, so that ``mmssm --help`` needs nothing but Python.
"""

import argparse
import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType

from mmssm import __version__
from mmssm.utils.errors import UsageError, UserError

COMMANDS = {
    'list': 'models by name, with or without weights on this machine',
    'lift': 'people of a video or of 2D keypoints in 3D',
    'hand': 'hand meshes of images and videos',
    'train': 'train a model',
    'test': "measure a model's errors",
    'export': 'write a model as ONNX',
    'convert': 'weights, data sets and keypoint files of others',
    'bench': 'how fast a model is on this machine',
    'env': 'what is installed and in use, for a bug report',
}
"""Names of the modules, and what ``mmssm --help`` says of them."""

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses; the last as a shell has it for SIGINT."""

_OF_THE_MACHINE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG),
}
"""Errors of the system that are the user's to mend: no room, no right, no folder."""

_EXAMPLES = """
examples:
  mmssm list --weights                    models that work at once
  mmssm lift walk.mp4 --out DIR           a video in 3D, with a page to look at it
  mmssm hand photo.jpg --bbox 40 60 180 200 --out DIR
  mmssm train posemamba-mocap-27frm       a model by name, or a config file

`mmssm COMMAND --help` has the options of a command. Exit status: 0 it worked, 1 it
did not, 2 it was called in a wrong way.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``mmssm``.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        The exit status: 0, 1 for an error in the work, 2 without a command, 130 if
        interrupted.

    Raises:
        SystemExit: Of status 0 after ``--help``, of status 2 for arguments that
            do not fit.
    """
    frame = _frame_parser()
    args = frame.parse_args(argv)
    if args.command is None:
        frame.print_help(sys.stderr)
        return MISUSED
    if args.command not in COMMANDS:
        near = difflib.get_close_matches(args.command, COMMANDS, n=1)
        hint = f'did you mean {near[0]!r}? ' if near else ''
        frame.error(
            f'there is no command {args.command!r}; {hint}commands are '
            f'{", ".join(COMMANDS)}'
        )
    return _guarded(lambda: _run(args.command, args.arguments))


def command_parser(name: str, prog: str | None = None) -> argparse.ArgumentParser:
    """The parser of a subcommand.

    Args:
        name: One of :data:`COMMANDS`.
        prog: What usage messages call it, if not ``mmssm NAME``.
    """
    module = _module(name)
    parser = argparse.ArgumentParser(
        prog=prog or f'mmssm {name}',
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return parser


def _frame_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listed = '\n'.join(f'  {name:<{width}}  {text}' for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog='mmssm',
        usage='mmssm [-h] [--version] COMMAND ...',
        description='State-space (Mamba) pose models for MMPose.\n\n'
        f'commands:\n{listed}',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'mmssm {__version__}')
    parser.add_argument('command', nargs='?', metavar='COMMAND', help=argparse.SUPPRESS)
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f'mmssm.cli.{name}')


def _run(name: str, arguments: Sequence[str]) -> int:
    parser = command_parser(name)
    args = parser.parse_args(arguments)
    try:
        return _module(name).main(args)
    except UsageError as error:
        parser.error(str(error))


def _guarded(run: Callable[[], int]) -> int:
    """Turns what is the user's to mend into a message and an exit status."""
    try:
        status = run()
        sys.stdout.flush()  # what cannot be printed is an error of here, not of exit
        return status
    except UserError as error:
        return _failed(str(error))
    except ImportError as error:
        message = str(error) if _is_ours(error) else _missing_host(error)
        if message is None:
            raise
        return _failed(message)
    except SystemExit as error:
        if isinstance(error.code, str):  # what messages_for_users made
            return _failed(error.code.removeprefix('error: '))
        raise
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # a reader such as `head` has seen enough
        _drop_output()
        return FAILED
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        _drop_output()
        return _failed(str(error))


def _drop_output() -> None:
    """Lets go of what cannot be printed: Python would complain of it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _missing_host(error: ImportError) -> str | None:
    """What helps where a part of the host is not installed."""
    if (error.name or '').split('.')[0] not in ('mmengine', 'mmcv', 'mmpose'):
        return None
    try:
        import_module('mmssm.registry')
    except ImportError as cure:
        return str(cure)
    return None


def _is_ours(error: ImportError) -> bool:
    """Whether this package raised it, in words of its own."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or error.name is not None:
        return False
    return last.tb_frame.f_globals.get('__name__', '').startswith('mmssm.')


def _failed(message: str) -> int:
    print(f'error: {message}', file=sys.stderr)
    return FAILED
