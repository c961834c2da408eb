"""Trains a model from a config file: ``mmssm train`` of this checkout.

python tools/train.py --help says more.
"""

import argparse

from mmssm.cli import command_parser
from mmssm.cli import train as command
from mmssm.cli.train import merge_args

__all__ = ['main', 'merge_args', 'parse_args']


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    return command_parser('train', prog='train.py').parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Trains."""
    command.main(parse_args(argv))


if __name__ == '__main__':
    main()
