"""Metainfo of data sets of single hands, in MMPose's form."""

from collections.abc import Iterable

from mmssm.structures import hand

_COLORS = {
    'thumb': [255, 128, 0],
    'forefinger': [255, 153, 255],
    'middle_finger': [102, 178, 255],
    'ring_finger': [255, 51, 51],
    'pinky_finger': [0, 255, 0],
}
_PALM_COLOR = [255, 255, 255]


def hand_metainfo(dataset_name: str, root_joint: str = 'wrist') -> dict:
    """Metainfo of 21 joints in the order of this package.

    Args:
        dataset_name: As logged.
        root_joint: Name of the joint whose depth is given, and which errors are
            relative to.

    Returns:
        ``dataset_info`` as MMPose's files have it, and ``root_joint``.
    """
    bones = (
        (hand.JOINT_NAMES[parent], hand.JOINT_NAMES[joint])
        for parent, joint in hand.SKELETON
    )
    return _metainfo(dataset_name, root_joint, hand.JOINT_NAMES, bones)


def nyu_metainfo() -> dict:
    """Metainfo of NYU's 14 evaluated joints; the root is the palm."""
    return _metainfo('nyu', 'palm', hand.NYU_EVALUATED, hand.NYU_SKELETON)


def _metainfo(
    dataset_name: str,
    root_joint: str,
    names: Iterable[str],
    bones: Iterable[tuple[str, str]],
) -> dict:
    return {
        'dataset_name': dataset_name,
        'root_joint': root_joint,
        'keypoint_info': {
            number: {
                'name': name,
                'id': number,
                'color': _color(name),
                'type': '',
                'swap': '',
            }
            for number, name in enumerate(names)
        },
        'skeleton_info': {
            number: {'link': bone, 'id': number, 'color': _color(bone[1])}
            for number, bone in enumerate(bones)
        },
        'joint_weights': [1.0 for _ in names],
        'sigmas': [],
    }


def _color(name: str) -> list[int]:
    return _COLORS.get(name.rstrip('1234'), _PALM_COLOR)
