"""Turns a training checkpoint into a small file that describes its own model.

    python tools/model_converters/publish.py CONFIG CHECKPOINT DST.safetensors

DST holds the weights that validation saw (the averaged ones, if the config
averages) and the config of the model as plain data; it has neither optimizer
nor history. ``mmssm.apis.build_from_checkpoint(DST)`` builds the model.
"""

import argparse
from pathlib import Path

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis import (
    build_from_checkpoint,
    model_config_for_checkpoint,
    save_checkpoint,
)
from mmssm.apis.catalog import resolve_config
from mmssm.engine import preflight
from mmssm.engine.cli import messages_for_users
from mmssm.utils.errors import UserError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of the training, or its name')
    parser.add_argument('checkpoint', type=Path, help='what tools/train.py wrote')
    parser.add_argument('destination', type=Path, help='.safetensors or .pth file')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Converts."""
    args = parse_args(argv)
    with messages_for_users():
        publish(args.config, args.checkpoint, args.destination)
    size = args.destination.stat().st_size
    print(f'{args.destination}: {size / 2**20:.2f} MiB, read back and built')


def publish(config: str, source: Path, destination: Path) -> None:
    """Writes the small file and builds the model from it.

    Args:
        config: Of the training: a file, or the name of a model.
        source: What training wrote.
        destination: File to write.

    Raises:
        UserError: A file is not there, or is not what it should be.
    """
    path = resolve_config(config)
    model = preflight.read_config(str(path)).model
    checkpoint = preflight.read_checkpoint(source)
    if 'state_dict' not in checkpoint or 'iter' not in (checkpoint.get('meta') or {}):
        raise UserError(
            f'{source} holds no weights of a training (state_dict, and iter under '
            'meta): give a checkpoint that `mmssm train` wrote'
        )
    weights = {
        name: weight
        for name, weight in checkpoint['state_dict'].items()
        if not name.startswith('prior.')  # what a network was trained against
    }
    save_checkpoint(
        destination,
        weights,
        {
            'model': model_config_for_checkpoint(model),
            'config': path.name,
            'iterations': checkpoint['meta']['iter'],
        },
    )
    build_from_checkpoint(destination)


if __name__ == '__main__':
    main()
