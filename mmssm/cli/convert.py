"""Runs a converter: of others' weights, of data sets, of keypoint files.

    mmssm convert                                  which there are
    mmssm convert posemamba --help                 what one takes
    mmssm convert posemamba SOURCE.bin DESTINATION.pth
    mmssm convert mano MANO_RIGHT.pkl data/mano/right.npz

They are the scripts of tools/model_converters and tools/dataset_converters.
"""

import argparse
import ast
import difflib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from mmssm.utils.errors import UsageError

FOLDERS = ('model_converters', 'dataset_converters')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        'converter', nargs='?', help='name of a converter; without it all are listed'
    )
    parser.add_argument(
        'arguments',
        nargs=argparse.REMAINDER,
        metavar='...',
        help='its arguments; --help explains them',
    )


def main(args: argparse.Namespace) -> int:
    """Runs the converter, or lists all.

    Returns:
        The status of the converter.

    Raises:
        UsageError: There is no such converter.
    """
    known = converters()
    if args.converter is None:
        width = max(map(len, known))
        for name, path in known.items():
            print(f'{name:<{width}}  {summary(path)}')
        return 0
    if args.converter not in known:
        near = difflib.get_close_matches(args.converter, known, n=1)
        hint = f'; did you mean {near[0]!r}?' if near else '.'
        raise UsageError(
            f'there is no converter {args.converter!r}{hint} There are '
            f'{", ".join(known)}'
        )
    return run_script(known[args.converter], args.converter, args.arguments)


def converters() -> dict[str, Path]:
    """Paths of all converters by their names."""
    from mmssm.apis.catalog import root

    found = [
        path
        for folder in FOLDERS
        for path in sorted((root() / 'tools' / folder).glob('*.py'))
    ]
    return {path.stem: path for path in found}


def summary(path: Path) -> str:
    """The first sentence of a script's docstring, without running it."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    return text.split('\n\n')[0].replace('\n', ' ')


def run_script(path: Path, name: str, arguments: Sequence[str]) -> int:
    """Runs a script as a program in this process.

    Returns:
        Its exit status.

    Raises:
        SystemExit: It ended with a message.
    """
    before = sys.argv
    sys.argv = [f'mmssm convert {name}', *arguments]
    try:
        runpy.run_path(str(path), run_name='__main__')
    except SystemExit as error:
        if isinstance(error.code, str):
            raise
        return int(error.code or 0)
    finally:
        sys.argv = before
    return 0
