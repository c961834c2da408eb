"""How fast the data loader alone feeds a lifter, against how fast one trains.

    python benchmarks/lifting/loader_speed.py --out DIR

Writes a set of Human3.6M's layout and size per video, in MotionBERT's pickle and in
MMPose's files, loads it as the configs do, and trains the config's model on one of
its batches. The question is whether the loader is a bottleneck: it should feed at
least five times what training takes.
"""

import argparse
import json
import pickle
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.datasets.virtual_cameras import fixed_camera

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = 'body_3d_keypoint/posemamba/h36m/posemamba_s-243frm_1xb4-120e_h36m-original.py'
BASES = {
    "MMPose's files": 'h36m_sh_243frm.py',
    "MotionBERT's pickle": 'h36m_motionbert_243frm.py',
}
VIDEO_FRAMES = 2600
CAMERA = '55011271'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, help='folder for loader_speed.json')
    parser.add_argument('--videos', type=int, default=12, help='how many videos')
    parser.add_argument(
        '--workers', type=int, nargs='+', default=[0, 2], help='numbers of workers'
    )
    parser.add_argument(
        '--steps', type=int, default=3, help='training steps to time; 0: none'
    )
    return parser.parse_args(argv)


def write_set(root: Path, videos: int) -> None:
    """Writes the same random poses in both formats."""
    rng = np.random.default_rng(0)
    frames = videos * VIDEO_FRAMES
    image = rng.uniform(300, 700, (frames, 17, 3)).astype(np.float32)
    names = [f's_01_act_{2 + v % 14:02d}_subact_01_ca_{v:02d}' for v in range(videos)]
    half = {
        'joint_2d': image[..., :2],
        'confidence': np.ones((frames, 17, 1), np.float32),
        'joint3d_image': image,
        'camera_name': np.repeat(CAMERA, frames),
        'source': np.repeat(names, VIDEO_FRAMES),
        'action': np.repeat('Walk', frames),
    }
    with (root / 'h36m.pkl').open('wb') as file:
        pickle.dump({'train': half}, file, protocol=4)
    ones = np.ones((frames, 17, 1), np.float32)
    joints = np.concatenate([image / 1000 + np.array([0, 0, 4]), ones], -1)
    np.savez(
        root / 'train.npz',
        imgname=np.array(
            [
                f'S1_Walk_{v}.{CAMERA}_{number:06d}.jpg'
                for v in range(videos)
                for number in range(1, VIDEO_FRAMES + 1)
            ]
        ),
        center=np.zeros((frames, 2)),
        scale=np.ones(frames),
        part=np.concatenate([image[..., :2], ones], -1),
        S=joints,
    )
    with (root / 'cameras.pkl').open('wb') as file:
        pickle.dump({('S1', CAMERA): fixed_camera(0)}, file)


def make_loader(base: str, root: Path, workers: int) -> torch.utils.data.DataLoader:
    """The training loader of a dataset base, on the written set."""
    path = REPOSITORY / 'configs' / '_base_' / 'datasets' / base
    loader = Config.fromfile(path).train_dataloader
    loader.update(num_workers=workers, persistent_workers=workers > 0)
    loader.pin_memory = False
    loader.dataset.data_root = str(root)
    if 'camera_param_file' in loader.dataset:
        loader.dataset.update(ann_file='train.npz', camera_param_file='cameras.pkl')
    else:
        loader.dataset.ann_file = 'h36m.pkl'
    return Runner.build_dataloader(loader, seed=0)


def clips_per_second(loader: torch.utils.data.DataLoader) -> float:
    """Clips that a loader gives in a second, after the first batches.

    Batches that the workers have ready when the clock starts would flatter
    them, so many more are taken.
    """
    batches = iter(loader)
    for _ in range(2):
        next(batches)
    started, clips = time.perf_counter(), 0
    for batch in batches:
        clips += len(batch['data_samples'])
    return clips / (time.perf_counter() - started)


def training_clips_per_second(loader: torch.utils.data.DataLoader, steps: int) -> float:
    """Clips that PoseMamba-S takes in a second of training, the best step."""
    config = Config.fromfile(REPOSITORY / 'configs' / CONFIG)
    model = MODELS.build(config.model).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    batch = next(iter(loader))
    inputs = torch.stack(batch['inputs'])
    seconds = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        losses = model(inputs, batch['data_samples'], mode='loss')
        total, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return len(inputs) / min(seconds[1:])


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    args = parse_args(argv)
    init_default_scope('mmpose')
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_set(root, args.videos)
        for format_name, base in BASES.items():
            for workers in args.workers:
                loader = make_loader(base, root, workers)
                name = f'{format_name}, {workers} workers'
                results[name] = round(clips_per_second(loader), 1)
                print(f'{name}: {results[name]} clips/s', flush=True)
        if args.steps:
            loader = make_loader(next(iter(BASES.values())), root, 0)
            rate = training_clips_per_second(loader, args.steps)
            threads = torch.get_num_threads()
            slowest = min(results.values())
            print(
                f'training PoseMamba-S, {threads} threads: {rate:.2f} clips/s; the '
                f'slowest loader gives {slowest / rate:.0f} times that'
            )
            results[f'training, {threads} threads'] = round(rate, 2)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / 'loader_speed.json'
        path.write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
    main()
