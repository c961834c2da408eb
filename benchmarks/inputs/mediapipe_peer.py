"""How near the 2D front end comes to MediaPipe itself, on pictures of one's own.

    python benchmarks/inputs/mediapipe_peer.py SOURCE --peer PYTHON --out DIR

SOURCE is a folder of images of one size, or a video; PYTHON is an interpreter of an
environment with mediapipe 0.10.14 (``pip install mediapipe==0.10.14``, Python 3.10 to
3.12), where this file runs once more. Both look at every picture on its own, for one
person and two hands. Prints and writes to ``DIR/mediapipe_peer.json`` who found what,
the mean distance of joints in pixels, and how many hands have the same side.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

Found = dict[str, Any]
"""By picture: ``pose`` (33, 2) or None, ``hands`` as [side, (21, 2)] of each."""


def look_as_peer(folder: Path) -> Found:
    """What MediaPipe finds; its sides are turned round to the person's own."""
    import cv2
    import mediapipe

    own = {'Left': 'right', 'Right': 'left'}
    solutions, found = mediapipe.solutions, {}
    with (
        solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose,
        solutions.hands.Hands(static_image_mode=True, max_num_hands=2) as hands,
    ):
        for path in sorted(folder.glob('*.png')):
            image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            scale = image.shape[1], image.shape[0]

            def pixels(landmarks: Any, scale: tuple = scale) -> list:
                return [[p.x * scale[0], p.y * scale[1]] for p in landmarks.landmark]

            person, both = pose.process(image), hands.process(image)
            found[path.stem] = {
                'pose': person.pose_landmarks and pixels(person.pose_landmarks),
                'hands': [
                    [own[side.classification[0].label], pixels(hand)]
                    for side, hand in zip(
                        both.multi_handedness or [],
                        both.multi_hand_landmarks or [],
                        strict=True,
                    )
                ],
            }
    return found


def look(folder: Path) -> Found:
    """What our front end finds."""
    from mmssm.inputs import MediapipeHands
    from mmssm.inputs.frames import read_image
    from mmssm.inputs.frontends import MediapipePose

    pose, hands = MediapipePose.load(max_people=1), MediapipeHands.load()
    found = {}
    for path in sorted(folder.glob('*.png')):
        image = read_image(path)
        pose.start()
        person, both = pose(image), hands(image)
        found[path.stem] = {
            'pose': person.keypoints[0].tolist() if len(person) else None,
            'hands': [
                [side, joints.tolist()]
                for side, joints in zip(both.sides, both.keypoints, strict=True)
            ],
        }
    return found


def compare(ours: Found, theirs: Found) -> dict[str, dict[str, float]]:
    """Counts and distances, by task.

    Returns:
        For ``pose`` and ``hands``: ``both``, ``ours_alone`` and ``theirs_alone``,
        numbers of people or hands; ``mean_px`` and ``max_px``, of the mean distance of
        joints of those that both found; and ``same_side`` of hands.
    """
    rows = {}
    for task in ('pose', 'hands'):
        pairs, alone, same = [], [0, 0], 0
        for picture in theirs:
            left = _joints(ours[picture], task)
            for side, joints in _joints(theirs[picture], task):
                if not left:
                    alone[1] += 1
                    continue
                distances = [
                    np.linalg.norm(np.subtract(one, joints), axis=-1).mean()
                    for _, one in left
                ]
                nearest = int(np.argmin(distances))
                pairs.append(float(distances[nearest]))
                same += left.pop(nearest)[0] == side
            alone[0] += len(left)
        rows[task] = {
            'both': len(pairs),
            'ours_alone': alone[0],
            'theirs_alone': alone[1],
            'mean_px': float(np.mean(pairs)) if pairs else float('nan'),
            'max_px': max(pairs, default=float('nan')),
            'same_side': same,
        }
    return rows


def _joints(picture: dict, task: str) -> list:
    if task == 'hands':
        return list(picture['hands'])
    return [] if picture['pose'] is None else [['', picture['pose']]]


def run(source: str, peer: str) -> dict[str, dict[str, float]]:
    """Has both look at the same pictures, decoded once."""
    import cv2

    from mmssm.inputs import open_frames

    with tempfile.TemporaryDirectory() as scratch, open_frames(source) as frames:
        for number, image in frames:
            cv2.imwrite(f'{scratch}/{number:06d}.png', image)
        answer = Path(scratch, 'peer.json')
        command = [peer, __file__, scratch, '--as-peer', '--out', str(answer)]
        subprocess.run(command, check=True)
        return compare(look(Path(scratch)), json.loads(answer.read_text()))


def main(argv: list[str] | None = None) -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='folder of images, or video')
    parser.add_argument('--peer', default=sys.executable, help='Python with mediapipe')
    parser.add_argument('--out', type=Path, required=True, help='folder for the result')
    parser.add_argument('--as-peer', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.as_peer:
        args.out.write_text(json.dumps(look_as_peer(Path(args.source))))
        return
    rows = run(args.source, args.peer)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'mediapipe_peer.json').write_text(json.dumps(rows, indent=1))
    for task, row in rows.items():
        print(
            f'{task}: both {row["both"]}, ours alone {row["ours_alone"]}, theirs alone '
            f'{row["theirs_alone"]}; mean distance {row["mean_px"]:.2f} px, at most '
            f'{row["max_px"]:.2f}'
            + (f'; same side {row["same_side"]}' if task == 'hands' else '')
        )


if __name__ == '__main__':
    main()
