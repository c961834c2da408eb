"""Pages to look at: people lifted beside the truth, and hand meshes.

    python demo/viewer_pages.py --out DIR

Two clips of the embedded motion data that the shipped lifter was not trained on are
seen by one virtual camera and lifted; generated pictures of hands go through the
shipped hand network. In DIR then are people.html, walk.html and people.mp4 (2D joints
over an empty picture), hands.html, the results as JSON, and what went in, for
`mmssm lift` and `mmssm hand`: joints.json, hand.jpg. Takes a quarter of a minute;
nothing is downloaded. Both networks were trained for minutes: they show how things
work, not how well.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mmssm.apis import (
    HandMeshInferencer,
    LiftingResult,
    PersonResult,
    PoseLifterInferencer,
)
from mmssm.datasets.datasets.mocap_dataset import film_frames
from mmssm.datasets.mocap_clips import load_mocap_clips, mocap_file, on_stage
from mmssm.datasets.synthhand.files import write_synthhand
from mmssm.datasets.virtual_cameras import make_camera
from mmssm.inputs import write_keypoints
from mmssm.structures import h36m
from mmssm.structures.tracks import KeypointSequence, KeypointTrack
from mmssm.visualization.viewer import (
    write_annotated_video,
    write_hand_page,
    write_lifting_page,
)

CLIPS = {'walk': 0, 'dance_a': 12}
"""Clips of the first fold's validation, and the frame in which each begins."""

LONGEST = 100
"""Frames of a clip that are shown."""

FPS = 50.0
IMAGE_SIZE = (1000, 1000)
NUM_HANDS = 8
HAND_BOX = (16.0, 16.0, 208.0, 208.0)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/viewer_pages'),
        help='folder for all files (default: work_dirs/viewer_pages)',
    )
    return parser.parse_args(argv)


def film() -> dict[str, dict]:
    """What the camera sees of each clip, under MMPose's names."""
    camera = make_camera(np.array([4.6, 1.8, 1.5]), np.array([0.0, 0.0, 0.9]))
    clips = load_mocap_clips(mocap_file())
    films = {}
    for number, name in enumerate(CLIPS):
        joints = on_stage(clips[name], (1.1, 1.06, 1.08)).joints[:LONGEST]
        beside = np.array([0.0, 1.1 - 2.2 * number, 0.0], np.float32)
        films[name] = film_frames(joints + beside, camera)
    return films


def keypoints_of(films: dict[str, dict]) -> KeypointSequence:
    """The 2D joints of all clips as one video."""
    tracks = [
        KeypointTrack(
            number,
            CLIPS[name] + np.arange(len(seen['keypoints'])),
            seen['keypoints'],
            seen['keypoints_visible'],
        )
        for number, (name, seen) in enumerate(films.items(), start=1)
    ]
    count = max(int(track.frames[-1]) + 1 for track in tracks)
    source = ' and '.join(films)
    return KeypointSequence(tracks, 'h36m', IMAGE_SIZE, FPS, count, source)


def truth_of(films: dict[str, dict], sequence: KeypointSequence) -> LiftingResult:
    """The true joints as a result."""
    persons = []
    for track, seen in zip(sequence.tracks, films.values(), strict=True):
        joints = seen['keypoints_3d']
        nothing = np.zeros(track.scores.shape, bool)
        persons.append(
            PersonResult(
                track_id=track.track_id,
                frames=track.frames,
                keypoints=track.keypoints,
                keypoint_scores=track.scores,
                keypoints_3d=joints - joints[:, h36m.ROOT, None],
                root_position=joints[:, h36m.ROOT],
                filled=nothing[:, 0],
                filled_joints=nothing,
            )
        )
    return LiftingResult(
        persons=persons,
        joint_names=h36m.JOINT_NAMES,
        skeleton_links=h36m.SKELETON,
        image_size=sequence.image_size,
        fps=sequence.fps,
        num_frames=sequence.num_frames,
        source=sequence.source,
        model='truth',
        frontend='motion capture',
    )


def empty_video(count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of a room without anything in it."""
    rows = np.linspace(225, 150, IMAGE_SIZE[1])[:, None, None]
    picture = (rows * np.array([1.0, 0.98, 0.94])).repeat(IMAGE_SIZE[0], 1)
    for number in range(count):
        yield number, picture.astype(np.uint8)


def write_people(out: Path) -> None:
    """Lifts the clips and writes their pages."""
    films = film()
    sequence = keypoints_of(films)
    write_keypoints(out / 'joints.json', sequence)
    result = PoseLifterInferencer(show_progress=False)(sequence)
    truth = truth_of(films, sequence)
    result.to_json(out / 'people.json')
    write_lifting_page(
        out / 'people.html',
        result,
        empty_video(result.num_frames),
        title='Two people, lifted',
    )
    write_annotated_video(out / 'people.mp4', result, empty_video(result.num_frames))
    write_lifting_page(
        out / 'walk.html',
        first_person(result),
        other=first_person(truth),
        title='A walk: prediction and truth',
    )


def first_person(result: LiftingResult) -> LiftingResult:
    """The result with its first person alone."""
    persons = result.persons[:1]
    return replace(result, persons=persons, num_frames=int(persons[0].frames[-1]) + 1)


def write_hands(out: Path) -> None:
    """Generates pictures of hands, finds their meshes and writes their page."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / 'synthhand'
        write_synthhand(data, 1, NUM_HANDS, max_turn=45)
        paths = sorted((data / 'evaluation' / 'rgb').glob('*.jpg'))
        images = [cv2.imread(str(path)) for path in paths]
        shutil.copyfile(paths[0], out / 'hand.jpg')
    result = HandMeshInferencer(show_progress=False)(images, bboxes=HAND_BOX, fps=2.0)
    result.to_json(out / 'hands.json')
    write_hand_page(out / 'hands.html', result, enumerate(images), title='Hands')


def main(argv: list[str] | None = None) -> None:
    """Writes all pages."""
    out = parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    write_people(out)
    write_hands(out)
    for path in sorted(out.iterdir()):
        print(path)


if __name__ == '__main__':
    main()
