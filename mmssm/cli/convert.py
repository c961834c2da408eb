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
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from mmssm.utils.errors import UsageError, UserError

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
    """Runs the `main` of a script as a program in this process.

    Returns:
        Its exit status.

    Raises:
        SystemExit: It ended with a message.
        UserError: A file that it was given is not there.
    """
    before = sys.argv
    sys.argv = [f'mmssm convert {name}', *arguments]
    try:
        return int(_module(path).main() or 0)
    except SystemExit as error:
        if isinstance(error.code, str):
            raise
        return int(error.code or 0)
    except FileNotFoundError as error:
        raise UserError(str(error)) from error
    finally:
        sys.argv = before


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f'mmssm_convert_{path.stem}', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there for their types
    spec.loader.exec_module(module)
    return module
