"""Turns a training checkpoint into a small file that describes its own model.

    python tools/model_converters/publish.py CONFIG CHECKPOINT DST.safetensors

DST holds the weights that validation saw (the averaged ones, if the config
averages) and the config of the model as plain data; it has neither optimizer
nor history. ``mmssm.apis.build_from_checkpoint(DST)`` builds the model.
"""

import argparse
from pathlib import Path

from mmengine.config import Config

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis import (
    build_from_checkpoint,
    model_config_for_checkpoint,
    save_checkpoint,
)
from mmssm.utils import safe_pickle


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='config file of the training')
    parser.add_argument('checkpoint', type=Path, help='what tools/train.py wrote')
    parser.add_argument('destination', type=Path, help='.safetensors or .pth file')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Converts."""
    args = parse_args(argv)
    checkpoint = safe_pickle.load_checkpoint(args.checkpoint)
    weights = {
        name: weight
        for name, weight in checkpoint['state_dict'].items()
        if not name.startswith('prior.')  # what a network was trained against
    }
    save_checkpoint(
        args.destination,
        weights,
        {
            'model': model_config_for_checkpoint(Config.fromfile(args.config).model),
            'config': args.config.name,
            'iterations': checkpoint['meta']['iter'],
        },
    )
    build_from_checkpoint(args.destination)
    size = args.destination.stat().st_size
    print(f'{args.destination}: {size / 2**20:.2f} MiB, read back and built')


if __name__ == '__main__':
    main()
