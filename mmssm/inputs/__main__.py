"""Fetches the networks of the 2D front end: ``python -m mmssm.inputs fetch-mediapipe``.

They are taken out of the wheel of MediaPipe 0.10.14 (Apache-2.0), which pip downloads
and does not install.
"""

import argparse
import sys

from mmssm.inputs.frontends.model_files import (
    VERSION,
    default_folder,
    download_models,
    extract_models,
)
from mmssm.utils.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: Its arguments; default: those of the process.

    Returns:
        The exit status: 0, or 1 with a message on standard error.
    """
    parser = argparse.ArgumentParser(prog='python -m mmssm.inputs', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    fetch = commands.add_parser(
        'fetch-mediapipe',
        help=f"take the networks out of mediapipe {VERSION}'s wheel",
    )
    fetch.add_argument(
        '--wheel',
        metavar='FILE',
        help=f'a wheel of mediapipe {VERSION}, of any platform; without it, pip '
        'downloads one',
    )
    fetch.add_argument(
        '--out',
        metavar='DIR',
        help=f'folder to put the networks in (default: {default_folder()})',
    )
    args = parser.parse_args(argv)
    try:
        if args.wheel is None:
            files = download_models(args.out)
        else:
            files = extract_models(args.wheel, args.out)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    for file in files:
        print(file)
    return 0


if __name__ == '__main__':
    sys.exit(main())
