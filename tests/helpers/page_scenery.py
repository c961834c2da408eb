"""What the blocks of a page find around them.

Readers bring videos, photographs, data and files of others; here small ones stand in
for them, and for the words in capitals that they fill in.
"""

import json
import os
import shutil
from pathlib import Path

import cv2
import mmpose
import numpy as np

from helpers import hand_model, results, walkers
from mmssm.inputs import write_keypoints
from mmssm.inputs.frontends import frontend
from mmssm.inputs.people import People
from mmssm.structures.tracks import KeypointTrack

LIFTER = (
    'configs/body_3d_keypoint/posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py'
)
LIFTER_WEIGHTS = 'mmssm/weights/posemamba-mocap-27frm.safetensors'
MOTIONBERT = (
    'body_3d_keypoint/motionbert/h36m/motionbert_dstformer-243frm_8xb32-240e_h36m.py'
)
FRAMES = 12


def _of_mmpose(config: str) -> str:
    return str(Path(mmpose.__file__).parent / '.mim' / 'configs' / config)


_COMMON = {'DIR': 'work_dirs/of_the_page'}
_A_LIFTER = {'CONFIG': LIFTER, 'CHECKPOINT': LIFTER_WEIGHTS}
_VALUES = {
    'README.md': {
        f'.venv/lib/python3*/site-packages/mmpose/.mim/configs/{MOTIONBERT}': (
            _of_mmpose(MOTIONBERT)
        )
    },
    'docs/models/df_mamba.md': _A_LIFTER,
    'docs/models/vmamba.md': _A_LIFTER,
}


def values(page: str) -> dict[str, str]:
    """What is filled in on a page, for which word."""
    return _COMMON | _VALUES.get(page, {})


def short_values(page: str) -> dict[str, str]:
    """The same where commands are run that take long: trainings are cut short.

    The environment variable ``MMSSM_DOCS_COMMANDS=full`` leaves the compilation of the
    full stack in.
    """
    train = 'python tools/train.py'
    found = {
        train: f'{train} --cfg-options train_cfg.max_iters=8 --interval 1',
        'make test': 'make -n test',
    }
    if os.environ.get('MMSSM_DOCS_COMMANDS') != 'full':
        found |= {'make full': 'make -n full', '. .venv-full/bin/activate': ':'}
    return values(page) | found


def prepare(page: str) -> None:
    """Puts into the working directory what the page's blocks read."""
    prepare_page = _PREPARED.get(page)
    if prepare_page is not None:
        prepare_page()


class Walker:
    """A person who walks through every video, in place of MediaPipe's networks."""

    name, joint_set = 'a walker', 'h36m'

    def __init__(self) -> None:
        self.points = walkers.film(FRAMES)[0].astype(np.float32)

    def start(self) -> None:
        """Begins a video."""
        self.frame = -1

    def __call__(self, image: np.ndarray) -> People:
        """Sees the next frame."""
        self.frame += 1
        points = self.points[self.frame][None]
        box = np.concatenate([points[0].min(0), points[0].max(0)])[None]
        return People(points, np.full((1, 17), 0.9, np.float32), box)


def _walk(name: str) -> None:
    """A video, and somebody who is found in it."""
    frontend.MediapipePose.load = staticmethod(lambda *_, **__: Walker())
    video = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*'mp4v'), 25, walkers.SIZE)
    for number in range(FRAMES):
        video.write(np.full((*walkers.SIZE[::-1], 3), 10 * number, np.uint8))
    video.release()


def _inference() -> None:
    _walk('video.mp4')


def _inputs() -> None:
    _walk('walk.mp4')
    shutil.copy('walk.mp4', 'clip.mp4')
    points = np.random.default_rng(0).uniform(100, 300, (FRAMES, 26, 2))
    track = KeypointTrack(0, np.arange(FRAMES), points, np.ones(points.shape[:2]))
    person = walkers.sequence(FRAMES, tracks=[track], joint_set='halpe26')
    write_keypoints('alphapose.json', person, 'alphapose')


def _hand_inference() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 240, 3), np.uint8)
    cv2.imwrite('photo.jpg', noise)


def _samples() -> None:
    folder = Path('work_dirs/viewer_pages')
    folder.mkdir(parents=True)
    write_keypoints(folder / 'joints.json', walkers.sequence(FRAMES))
    _hand_inference()
    shutil.move('photo.jpg', folder / 'hand.jpg')


def _mano() -> None:
    contents = hand_model.mano_contents(hand_model.hand_arrays(vertices=778, shapes=10))
    hand_model.write_mano_pickle(Path('MANO_RIGHT.pkl'), contents)


def _synthhand() -> None:
    folder = Path('data/synthhand')
    folder.mkdir(parents=True)
    row = [0.1] * 61
    (folder / 'training_mano.json').write_text(json.dumps([[row]]))


def _viewer() -> None:
    folder = Path('work_dirs/viewer_pages')
    folder.mkdir(parents=True)
    results.lifting_result().to_json(folder / 'people.json')
    results.hand_mesh_result().to_json(folder / 'hands.json')


_PREPARED = {
    'README.md': _samples,
    'docs/hand_inference.md': _hand_inference,
    'docs/inference.md': _inference,
    'docs/inputs.md': _inputs,
    'docs/mano.md': _mano,
    'docs/datasets/synthhand.md': _synthhand,
    'docs/viewer.md': _viewer,
}
