"""Says what is installed and in use: versions, stack, native operators.

    mmssm env
    mmssm env --json > env.json

The same as `python -m mmssm.utils.collect_env`; put it into a bug report. It works
where MMPose is missing, and says why it cannot be imported.
"""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument('--json', action='store_true', help='print JSON')


def main(args: argparse.Namespace) -> int:
    """Prints the report."""
    from mmssm.utils.collect_env import collect_env

    info = collect_env()
    if args.json:
        print(json.dumps(info, indent=1))
        return 0
    for name, value in info.items():
        print(f'{name}: {value}')
    return 0
