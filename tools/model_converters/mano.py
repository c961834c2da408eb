"""Turns MANO's official pickle into an ``.npz`` of plain arrays.

    python tools/model_converters/mano.py MANO_RIGHT.pkl data/mano/right.npz

The pickle comes from https://mano.is.tue.mpg.de after registration. It is read
without chumpy and without running anything it holds; its arrays are checked, and
both hashes printed. MANO's licence forbids to pass either file on.
"""

import argparse
import hashlib
import pickle
from pathlib import Path

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.geometry.hand_model import HandModel, load_hand_model, save_hand_arrays
from mmssm.geometry.mano_pickle import read_mano_pickle
from mmssm.models.layers.mano import hand_side


def convert(source: Path, out: Path) -> HandModel:
    """Writes the arrays of a pickle, checked as a hand model.

    Args:
        source: MANO's ``.pkl``.
        out: File to write, ``.npz``.

    Returns:
        The model.

    Raises:
        FileNotFoundError: There is no such file.
        pickle.UnpicklingError: The pickle asks for what is not data, or is damaged.
        ValueError: It is no hand model, or ``out`` is not named ``.npz``.
    """
    if out.suffix != '.npz':
        raise ValueError(f'{out}: the name must end in .npz')
    load_hand_model(source)  # names the pickle, not the new file, in what it says
    out.parent.mkdir(parents=True, exist_ok=True)
    return save_hand_arrays(out, read_mano_pickle(source))


def main(argv: list[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('pickle', type=Path, help='MANO_RIGHT.pkl or MANO_LEFT.pkl')
    parser.add_argument('out', type=Path, help='file to write, .npz')
    args = parser.parse_args(argv)
    try:
        model = convert(args.pickle, args.out)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from None
    print(
        f'{args.out}: {model.num_vertices} vertices, {len(model.faces)} faces, '
        f'{model.num_joints} joints, {model.num_shapes} shapes; '
        f'{hand_side(model) or "cannot tell which"} hand'
    )
    for path in (args.pickle, args.out):
        print(f'SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}  {path}')


if __name__ == '__main__':
    main()
