"""Shows what the scans of a model mix: which token is read by which other one.

    python tools/analysis_tools/scan_maps.py CONFIG [CHECKPOINT] --out DIR
    python tools/analysis_tools/scan_maps.py posemamba-mocap-27frm --out DIR
    python tools/analysis_tools/scan_maps.py CONFIG --list

For each layer a picture and its numbers (``.npz``) are written: of lifters the shares
among joints and among frames, of Hamba's blocks those among tokens, of image
backbones from where some tokens read. The input is a sample of the config's validation
data. Without CHECKPOINT a config has random weights, and a model called by its name the
weights that it ships with. docs/looking_inside.md says what the numbers are.
"""

import argparse
import io
import re
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS, MODELS
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.catalog import resolve_config, resolve_model
from mmssm.apis.scan_maps import ScanMap, scan_layers, scan_map
from mmssm.engine import preflight
from mmssm.engine.cli import OptionsAction, merge_options, messages_for_users
from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import write_atomically
from mmssm.visualization.scan_maps import SharePanel, draw_reads, draw_shares

PLACES = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75))
"""Tokens of an image that are shown, as parts of its height and width."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, or name of a model')
    parser.add_argument(
        'checkpoint', nargs='?', help='checkpoint file (.pth, .safetensors)'
    )
    parser.add_argument('--out', type=Path, help='folder for pictures and numbers')
    parser.add_argument(
        '--list', action='store_true', help='print the names of the layers, no more'
    )
    parser.add_argument(
        '--layers',
        nargs='+',
        help='names of layers, or their ends (default: the last of each kind of block)',
    )
    parser.add_argument(
        '--sample', type=int, default=0, help='number of the validation sample'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='changes of the config, such as val_dataloader.dataset.data_root=DIR',
    )
    args = parser.parse_args(argv)
    if args.out is None and not args.list:
        parser.error('--out DIR says where the pictures go')
    return args


def load(args: argparse.Namespace) -> tuple[Config, nn.Module]:
    """Reads the config and builds the model."""
    if args.checkpoint is None and not Path(args.config).is_file():
        named = resolve_model(args.config)
        args.config, args.checkpoint = str(named.config), str(named.weights)
    config = preflight.read_config(str(resolve_config(args.config)))
    merge_options(config, args)
    model = MODELS.build(config.model)
    if args.checkpoint is None:
        print('no checkpoint is given: the weights are random', file=sys.stderr)
    else:
        checkpoint = preflight.read_checkpoint(args.checkpoint)
        preflight.check_weights(model, checkpoint, args.checkpoint)
    return config, model.eval()


def default_layers(names: list[str]) -> list[str]:
    """The last layer of each kind: of names that differ in numbers alone."""
    return list({re.sub(r'\d+', '#', name): name for name in names}.values())


def sample_of(config: Config, number: int, model: nn.Module) -> tuple[Tensor, dict]:
    """What the network gets of a validation sample, and the data's description."""
    try:
        dataset = DATASETS.build(config.val_dataloader.dataset)
    except FileNotFoundError as error:
        raise UserError(f'the validation data is not here: {error}') from error
    if not 0 <= number < len(dataset):
        raise UserError(
            f'--sample {number}: the validation data has {len(dataset)} samples, from 0'
        )
    batch = pseudo_collate([dataset[number]])
    inputs = model.data_preprocessor(batch, training=False)['inputs']
    if not isinstance(inputs, Tensor):
        inputs = torch.stack(list(inputs))
    # a causal lifter is validated on whole videos, filled up at their ends
    frames = getattr(model.backbone, 'num_frames', None)
    return inputs[:, :frames], dataset.metainfo


def picture(found: ScanMap, inputs: Tensor, meta: dict) -> NDArray[np.uint8]:
    """The picture that fits the grid of a layer."""
    rows, columns = found.size
    if inputs.ndim == 4 and inputs.shape[2] == columns and inputs.shape[1] == rows:
        names = [meta['keypoint_id2name'][joint] for joint in range(columns)]
        return draw_shares(
            [
                SharePanel('among joints', _of_first(found.among_columns()), 'joint',
                           names),
                SharePanel('among frames', _of_first(found.among_rows()), 'frame'),
            ],
            found.name,
        )  # fmt: skip
    if columns == 1:
        shares = _of_first(found.among_rows())
        return draw_shares([SharePanel('among tokens', shares, 'token')], found.name)
    places = [(int(rows * y), int(columns * x)) for y, x in PLACES]
    reads = [_of_first(found.reads_of(row * columns + col)) for row, col in places]
    return draw_reads(
        np.stack(reads), np.array(places), found.name, _as_image(inputs[0])
    )


def _of_first(of_all: Tensor) -> NDArray:
    return of_all[0].numpy()


def _as_image(inputs: Tensor) -> NDArray[np.uint8]:
    pixels = inputs[:3].permute(1, 2, 0).float().cpu().numpy()
    low, high = pixels.min(), pixels.max()
    return (255 * (pixels - low) / max(high - low, 1e-12)).astype(np.uint8)


def save(found: ScanMap, drawn: NDArray[np.uint8], folder: Path) -> Path:
    """Writes picture and numbers; returns the picture's path."""
    path = folder / f'{found.name}.png'
    png, npz = io.BytesIO(), io.BytesIO()
    Image.fromarray(drawn).save(png, 'PNG')
    np.savez_compressed(
        npz,
        size=np.array(found.size),
        signed=found.signed[0].float().numpy(),
        strength=found.strength[0].float().numpy(),
        among_rows=_of_first(found.among_rows()),
        among_columns=_of_first(found.among_columns()),
        residual=np.array(found.residual),
    )
    write_atomically(path, png.getvalue())
    write_atomically(path.with_suffix('.npz'), npz.getvalue())
    return path


def run(args: argparse.Namespace) -> None:
    """Maps the layers asked for."""
    config, model = load(args)
    names = scan_layers(model)
    if args.list:
        print('\n'.join(names))
        return
    inputs, meta = sample_of(config, args.sample, model)
    for layer in args.layers or default_layers(names):
        try:
            found = scan_map(model, inputs, layer)
        except ValueError as error:
            raise UserError(str(error)) from error
        path = save(found, picture(found, inputs, meta), args.out)
        rows, columns = found.size
        print(
            f'{found.name}: {rows} x {columns} tokens, the map gives the '
            f'output to {found.residual:.1e}: {path}',
            flush=True,
        )


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    with messages_for_users(), DefaultScope.overwrite_default_scope('mmpose'):
        run(parse_args(argv))


if __name__ == '__main__':
    main()
