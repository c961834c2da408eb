"""Tests a checkpoint and prints its metrics: ``mmssm test`` of this checkout.

python tools/test.py --help says more.
"""

import argparse

from mmssm.cli import command_parser
from mmssm.cli import test as command
from mmssm.cli.test import merge_args
from mmssm.engine.cli import messages_for_users

__all__ = ['main', 'merge_args', 'parse_args']


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    return command_parser('test', prog='test.py').parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Tests."""
    with messages_for_users():
        command.main(parse_args(argv))


if __name__ == '__main__':
    main()
