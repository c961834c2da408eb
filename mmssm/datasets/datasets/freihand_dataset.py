"""FreiHAND with its joints in space."""

from collections.abc import Sequence
from logging import WARNING
from typing import Any, ClassVar

from mmengine.logging import print_log

from mmssm.datasets import freihand_files
from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.mano_poses import read_pose_space
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class FreiHAND3DDataset(HandDataset):
    """FreiHAND, version 2, from its official files, and sets in its layout.

    What MMPose's ``FreiHandDataset`` cannot do: it reads a json of 2D joints that
    MMPose made, with a random split of the training images; this one reads the
    official split with cameras and 3D joints, and vertices and MANO's parameters
    where they are asked for.

    Joints and camera are those of the files; the 2D joints are their projection.
    All hands are right hands.

    Args:
        split: ``'training'`` (``FreiHAND_pub_v2``) or ``'evaluation'``
            (``FreiHAND_pub_v2_eval``).
        versions: Which versions of the training images: 0 the original green
            screen, 1 to 3 composed with backgrounds. Default: those whose first
            image is there.
        bbox: ``'keypoints'``, the box of the 2D joints, or ``'image'``, the whole
            image.
        with_vertices: Add ``vertices (1, V, 3)``, metres, camera frame.
        with_mano: Add ``mano_pose (1, 48)`` (axis-angle, radians, mean pose
            included), ``mano_betas (1, 10)``, ``has_mano_pose (1,)`` and
            ``has_betas (1,)``.
        hand_model: File of the hand model, whose mean pose the poses of the files
            are relative to: MANO's right hand for FreiHAND, ``'free_hand'`` for
            synthhand. Without it poses are not known (``has_mano_pose`` is 0), with
            a warning.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('freihand3d')

    def __init__(
        self,
        split: str = 'training',
        versions: Sequence[int] | None = None,
        bbox: str = 'keypoints',
        with_vertices: bool = False,
        with_mano: bool = False,
        hand_model: str | None = None,
        **kwargs: Any,
    ) -> None:
        if split not in freihand_files.COUNTS:
            raise ValueError(f"split must be 'training' or 'evaluation', got '{split}'")
        if bbox not in ('keypoints', 'image'):
            raise ValueError(f"bbox must be 'keypoints' or 'image', got '{bbox}'")
        known = range(freihand_files.VERSIONS)
        if versions is not None and not set(versions) <= set(known):
            raise ValueError(f'versions must be out of {list(known)}, got {versions}')
        if versions is not None and not versions:
            raise ValueError('versions is empty: there is nothing to read')
        self.split = split
        self.versions = versions if versions is None else tuple(versions)
        self.bbox = bbox
        self.with_vertices = with_vertices
        self.with_mano = with_mano
        self.hand_model = hand_model
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        space = None
        if self.with_mano and self.hand_model is not None:
            space = read_pose_space(self.hand_model)
        elif self.with_mano:
            print_log(
                f"{self.data_root}: the files' poses are relative to the mean pose of "
                'MANO: give hand_model=... (its file); without it no pose is known',
                'current',
                WARNING,
            )
        return freihand_files.read_hands(
            self.data_root,
            self.split,
            self.versions,
            self.with_vertices,
            self.with_mano,
            self.bbox == 'image',
            space,
        )
