"""Virtual cameras that see a motion as Human3.6M's cameras do.

Those stand in the corners of a room 4 to 6 m from the actor, 1.5 m high, with
a focal length of 1145 to 1150 px and about 1000 x 1000 px. A camera is the
``camera_param`` dict of MMPose: ``R (3, 3)``, ``T (3, 1)`` metres, ``f`` and
``c (2, 1)`` pixels, no distortion (``k``, ``p`` zero), ``w`` and ``h`` pixels.
"""

import numpy as np

from mmssm.geometry.cameras import look_at

IMAGE_SIZE = 1000
FOCAL_LENGTH = 1145.0

DISTANCE = (3.0, 6.0)
HEIGHT = (1.0, 2.2)
ROOM = 1.8
"""Way from the centre that these distances leave to the actor, metres."""
AIM_HEIGHT = (0.7, 1.1)
AIM_SPREAD = 0.15
"""How far beside the actor a drawn camera looks, as a part of its distance."""
ROLL = np.deg2rad(2.0)

FIXED = ((30.0, 4.2, 1.5), (125.0, 5.4, 1.6), (-145.0, 4.8, 1.3), (-60.0, 5.8, 1.9))
"""The validation cameras: azimuth in degrees, distance and height in metres."""
FIXED_ROOM = 2.2
"""Way from the origin that they leave to the actor: enough for each clip."""


def make_camera(position: np.ndarray, aim: np.ndarray, roll: float = 0.0) -> dict:
    """Builds a camera.

    Args:
        position: ``(3,)`` centre of the camera in the world, metres.
        aim: ``(3,)`` point it looks at, metres.
        roll: Turn about the viewing axis, radians.

    Returns:
        MMPose's ``camera_param``, float32.
    """
    column = np.ones((2, 1), np.float32)
    return {
        'R': look_at(position, aim, roll).astype(np.float32),
        'T': np.reshape(position, (3, 1)).astype(np.float32),
        'f': FOCAL_LENGTH * column,
        'c': IMAGE_SIZE / 2 * column,
        'k': np.zeros((3, 1), np.float32),
        'p': np.zeros((2, 1), np.float32),
        'w': IMAGE_SIZE,
        'h': IMAGE_SIZE,
    }


def _around(center: np.ndarray, azimuth: float, distance: float, height: float):
    ground = distance * np.array([np.cos(azimuth), np.sin(azimuth)])
    return np.array([center[0] + ground[0], center[1] + ground[1], height])


def clearance(joints: np.ndarray, center: np.ndarray, room: float) -> float:
    """How much farther off a camera must be than usual for a wide motion.

    Without it an actor who runs on in a loop would run past the camera.

    Args:
        joints: ``(T, 17, 3)`` world positions, metres.
        center: ``(3,)`` what the camera stands around, metres.
        room: Distance from the centre that needs no more, metres.

    Returns:
        Metres.
    """
    offset = joints[..., :2] - center[:2]
    return max(0.0, float(np.sqrt((offset**2).sum(-1).max())) - room)


def fixed_camera(index: int, extra: float = 0.0) -> dict:
    """One of the four validation cameras around the origin of the ground.

    Args:
        index: 0 to 3.
        extra: Distance to add to the camera's, metres.

    Returns:
        MMPose's ``camera_param``.
    """
    azimuth, distance, height = FIXED[index]
    origin = np.array([0.0, 0.0, 0.9])
    return make_camera(
        _around(origin, np.deg2rad(azimuth), distance + extra, height), origin
    )


def draw_camera(
    rng: np.random.Generator, center: np.ndarray, extra: float = 0.0
) -> dict:
    """Draws a camera from all sides, near to far, low to high.

    Args:
        rng: Source of randomness.
        center: ``(3,)`` where the actor is, metres.
        extra: Distance to add to the one drawn, metres.

    Returns:
        MMPose's ``camera_param``.
    """
    distance = rng.uniform(*DISTANCE) + extra
    position = _around(
        center, rng.uniform(-np.pi, np.pi), distance, rng.uniform(*HEIGHT)
    )
    spread = AIM_SPREAD * distance
    aim = np.append(
        center[:2] + rng.uniform(-spread, spread, 2), rng.uniform(*AIM_HEIGHT)
    )
    return make_camera(position, aim, rng.uniform(-ROLL, ROLL))
