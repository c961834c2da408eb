"""Results and videos for pages that are looked at."""

import numpy as np

from helpers import results
from mmssm.datasets.mocap_clips import load_mocap_clips, mocap_file

IMAGE_SIZE = (320, 240)
NUM_FRAMES = 12


def joints_of_clip(name, count):
    """Joints ``(count, 17, 3)`` of an embedded clip, metres, seen from behind.

    x is to the right, y down and z forward, and the root is the origin.
    """
    world = load_mocap_clips(mocap_file())[name].joints[: 4 * count : 4]
    joints = np.stack([-world[..., 1], -world[..., 2], world[..., 0]], -1)
    return (joints - joints[:, :1]).astype(np.float32)


def moving_person(track_id=1, frames=range(NUM_FRAMES), clip='walk', shift=0.0):
    """A person of a clip, in the middle of the image but for a shift in pixels."""
    joints = joints_of_clip(clip, NUM_FRAMES)[list(frames)]
    shape = joints.shape[:2]
    centre = np.array([IMAGE_SIZE[0] / 2 + shift, IMAGE_SIZE[1] / 2])
    scores = np.linspace(0.5, 0.99, shape[0] * shape[1]).reshape(shape)
    return results.PersonResult(
        track_id=track_id,
        frames=np.asarray(frames),
        keypoints=centre + 100 * joints[..., :2],
        keypoint_scores=scores,
        keypoints_3d=joints,
        root_position=None,
        filled=np.zeros(shape[0], bool),
        filled_joints=np.zeros(shape, bool),
    )


def lifting(persons, **changes):
    """A result of people in a small video."""
    values = dict(image_size=IMAGE_SIZE, num_frames=NUM_FRAMES, notes=())
    return results.lifting_result(persons, **(values | changes))


def colored_video(count=NUM_FRAMES, size=IMAGE_SIZE):
    """Frames of one colour each; yields (number, BGR image)."""
    for number in range(count):
        image = np.empty((size[1], size[0], 3), np.uint8)
        image[:] = frame_color(number)[::-1]
        yield number, image


def frame_color(number):
    """RGB of a frame of :func:`colored_video`."""
    return (40 + 15 * (number % 12), 200 - 10 * (number % 12), 90 + 40 * (number % 3))


def ball(radius=0.05, rings=10):
    """Vertices and faces of a ball, counter-clockwise from outside; metres.

    y points down, as it does for a camera.
    """
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rings + 1),
        np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False),
        indexing='ij',
    )
    points = np.stack(
        [
            np.sin(polar) * np.cos(around),
            -np.cos(polar),
            np.sin(polar) * np.sin(around),
        ],
        -1,
    )
    grid = np.arange(points[..., 0].size).reshape(points.shape[:2])
    right = np.roll(grid, -1, 1)
    a, b, c, d = grid[:-1], right[:-1], right[1:], grid[1:]
    faces = np.concatenate(
        [np.stack(f, -1).reshape(-1, 3) for f in ([a, c, b], [a, d, c])]
    )
    return radius * points.reshape(-1, 3), faces


def ball_hand(side='right', x=0.0, radius=0.05):
    """A hand that is a ball; its joints lie on a spiral in it. 0.5 m away."""
    vertices, _ = ball(radius)
    turn = np.linspace(0, 5, 21)
    joints = 0.8 * radius * np.stack([np.cos(turn), turn / 5 - 0.5, np.sin(turn)], -1)
    translation = np.array([x, 0.0, 0.5])
    camera = joints + translation
    focal, centre = 400.0, np.array([159.5, 119.5])
    return results.HandResult(
        side=side,
        bbox=np.array([0.0, 0, 10, 10]),
        keypoints=centre + focal * camera[:, :2] / camera[:, 2:],
        keypoints_3d=joints,
        # a left hand is the mirror image of a right one
        vertices=vertices * ([1, 1, 1] if side == 'right' else [-1, 1, 1]),
        camera_translation=translation,
        focal_length=np.array([focal, focal]),
        principal_point=centre,
        global_orient=np.zeros(3),
        hand_pose=np.zeros((15, 3)),
        betas=np.zeros(10),
    )


def ball_hands(radius=0.05, **changes):
    """Three frames: a right hand, both hands, none."""
    right = ball_hand('right', -0.1, radius)
    values = dict(
        frames=[[right], [right, ball_hand('left', 0.1, radius)], []],
        faces=ball()[1],
        image_size=IMAGE_SIZE,
        fps=10.0,
        source='hands.mp4',
        frame_names=(),
    )
    return results.hand_mesh_result(**(values | changes))
