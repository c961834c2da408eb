"""How smooth cross-faded windows are, and what a long sequence takes.

    python benchmarks/lifting/windows.py --out DIR [--model NAME] [--overlaps 0 4 13 18]

Embedded motion, played backwards and forwards, is seen by a fixed camera with noise of
three kinds and lifted by ``mmssm.apis.PoseLifterInferencer``:

- *drawn*: the noise of a detector, as in training (``mmssm.DetectorNoise``);
- *white*: 4 px, new in every frame;
- *white, still*: the same on a person who stands still, so that all acceleration comes
  from noise and seams.

For each overlap: the acceleration of the joints (second difference, mm per frame^2,
mean over joints) in the frames that two windows share, each with at least a quarter of
the weight, over that in the other frames; without overlap, in the two frames at either
side of a cut over the others. Then seconds and peak memory for sequences of 1,800 and
of 18,000 frames, each in a process of its own. Everything goes to ``DIR/windows.json``
and ``DIR/windows.md``. ``--frames N`` measures one sequence and prints JSON.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis import PoseLifterInferencer
from mmssm.datasets.datasets.mocap_dataset import film_frames
from mmssm.datasets.mocap_clips import load_mocap_clips, mocap_file
from mmssm.datasets.transforms import DetectorNoise
from mmssm.datasets.virtual_cameras import FIXED_ROOM, clearance, fixed_camera
from mmssm.structures.tracks import KeypointSequence, KeypointTrack

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # where a run by this file's path does not look

from benchmarks._measure import describe_machine  # noqa: E402

CLIPS = ('walk', 'run', 'dance_a', 'jump', 'punch', 'kick')
SIZE = (1000, 1000)
LENGTHS = (1800, 18_000)
EDGE = 27
"""Frames at the ends of a sequence that are not counted."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--out', type=Path, help='folder for the results')
    what.add_argument('--frames', type=int, help='measure one sequence, print JSON')
    parser.add_argument('--model', default='posemamba-mocap-27frm')
    parser.add_argument('--weights', help="default: the model's own")
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--overlaps', nargs='+', type=int, default=[0, 4, 13, 18])
    parser.add_argument('--clip-frames', type=int, default=432, help='of each clip')
    parser.add_argument('--lengths', nargs='+', type=int, default=list(LENGTHS))
    return parser.parse_args(argv)


def film(clip: str, num_frames: int) -> NDArray:
    """Pixels ``(T, 17, 2)`` of a clip that is played to and fro."""
    joints = load_mocap_clips(mocap_file())[clip].joints
    turn = 2 * len(joints) - 2
    place = np.arange(num_frames) % turn
    joints = joints[np.minimum(place, turn - place)]
    camera = fixed_camera(0, clearance(joints, np.zeros(3), FIXED_ROOM))
    return film_frames(joints, camera)['keypoints']


def drawn(keypoints: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Keypoints and scores as in training."""
    np.random.seed(int(rng.integers(2**31)))
    seen = np.ones(keypoints.shape[:2], np.float32)
    noisy = DetectorNoise().transform(
        {'keypoints': keypoints, 'keypoints_visible': seen}
    )
    return noisy['keypoints'], noisy['keypoints_visible']


def white(keypoints: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Keypoints 4 px off, and scores."""
    noise = rng.normal(0, 4, keypoints.shape)
    return keypoints + noise, np.full(keypoints.shape[:2], 0.9)


def still(keypoints: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The first frame over and over, 4 px off."""
    return white(np.repeat(keypoints[:1], len(keypoints), axis=0), rng)


NOISES: dict[str, Callable] = {'drawn': drawn, 'white': white, 'white, still': still}


def sequence(keypoints: NDArray, scores: NDArray) -> KeypointSequence:
    """One person."""
    count = len(keypoints)
    track = KeypointTrack(0, np.arange(count), keypoints, scores)
    return KeypointSequence([track], 'h36m', SIZE, 50.0, count, 'mocap')


def at_seams(lift: PoseLifterInferencer, num_frames: int) -> NDArray[np.bool_]:
    """The frames ``(T,)`` that belong to seams."""
    if lift.windows.overlap:
        return np.sort(lift.windows.weights(num_frames), axis=0)[-2] >= 0.25
    cuts = np.array(lift.windows.starts(num_frames)[1:])
    frames = np.arange(num_frames)
    return (np.abs(frames[:, None] - cuts + 0.5) < 1).any(1)


def roughness(lift: PoseLifterInferencer, noise: Callable, num_frames: int) -> dict:
    """Acceleration at seams and elsewhere, mm per frame^2."""
    rng = np.random.default_rng(0)
    inside = slice(EDGE, num_frames - 2 * EDGE)
    seams = at_seams(lift, num_frames)[1:-1][inside]
    values: list[NDArray] = []
    for clip in CLIPS:
        (person,) = lift(sequence(*noise(film(clip, num_frames), rng))).persons
        second = np.diff(person.keypoints_3d, 2, axis=0)
        values.append(1000 * np.linalg.norm(second, axis=-1).mean(-1)[inside])
    rough = np.stack(values)
    seam, other = rough[:, seams].mean(), rough[:, ~seams].mean()
    return {
        'seam': float(seam),
        'elsewhere': float(other),
        'ratio': float(seam / other),
    }


def measure_length(args: argparse.Namespace) -> dict[str, float]:
    """Lifts one sequence: seconds, frames per second, peak memory of the process."""
    lift = PoseLifterInferencer(
        args.model, args.weights, args.device, show_progress=False
    )
    rng = np.random.default_rng(0)
    whole = sequence(*white(film('walk', args.frames), rng))
    lift(sequence(*white(film('walk', 64), rng)))
    start = time.perf_counter()
    lift(whole)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        'frames': args.frames,
        'seconds': seconds,
        'frames_per_second': args.frames / seconds,
        'peak_mib': peak,
    }


def in_a_process(args: argparse.Namespace, frames: int) -> dict[str, float]:
    """:func:`measure_length` in a process of its own."""
    command = [sys.executable, __file__, '--frames', str(frames)]
    command += ['--model', args.model, '--device', args.device]
    if args.weights is not None:
        command += ['--weights', args.weights]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict) -> str:
    """The results as Markdown."""
    lines = [
        '| overlap | 2D noise | at seams, mm/frame^2 | elsewhere | ratio |',
        '| ---: | --- | ---: | ---: | ---: |',
        *(
            f'| {row["overlap"]} of {row["window"]} | {row["noise"]} | '
            f'{row["seam"]:.2f} | {row["elsewhere"]:.2f} | {row["ratio"]:.2f} |'
            for row in results['seams']
        ),
        '',
        '| frames | seconds | frames per second | peak memory, MiB |',
        '| ---: | ---: | ---: | ---: |',
        *(
            f'| {row["frames"]:,} | {row["seconds"]:.1f} | '
            f'{row["frames_per_second"]:.0f} | {row["peak_mib"]:.0f} |'
            for row in results['lengths']
        ),
    ]
    return '\n'.join(lines) + '\n'


def main(argv: list[str] | None = None) -> None:
    """Measures."""
    args = parse_args(argv)
    if args.frames is not None:
        print(json.dumps(measure_length(args)))
        return
    seams = []
    for overlap in args.overlaps:
        lift = PoseLifterInferencer(
            args.model, args.weights, args.device, overlap=overlap, show_progress=False
        )
        for name, noise in NOISES.items():
            found = roughness(lift, noise, args.clip_frames)
            seams.append(
                {
                    'overlap': overlap,
                    'window': lift.windows.length,
                    'noise': name,
                    **found,
                }
            )
            print(seams[-1], flush=True)
    lengths = [in_a_process(args, frames) for frames in args.lengths]
    results = {
        'machine': describe_machine(),
        'model': args.model,
        'seams': seams,
        'lengths': lengths,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'windows.json').write_text(json.dumps(results, indent=1))
    (args.out / 'windows.md').write_text(table(results))
    print(table(results))


if __name__ == '__main__':
    main()
