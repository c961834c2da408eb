"""NYU's depth images of hands."""

from collections.abc import Sequence
from os import path as osp
from typing import Any, ClassVar

from mmssm.datasets import nyu_files
from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.metainfo import nyu_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class NYUHandDataset(HandDataset):
    """NYU's hand poses: depth images and 14 evaluated joints.

    MMPose has no data set of depth images. Samples are those of
    :class:`HandDataset` with 14 joints (``mmssm.structures.hand.NYU_EVALUATED``,
    the palm last and root) and

    - ``cube_center (1, 3)``, ``cube_size (1, 3)``, metres: what
      ``mmssm.NormalizeDepth`` brings to [-1, 1]; ``bbox`` is the cube's front,
      seen at the depth of its centre.

    The joints in space are made from the annotated pixels and depths by the
    camera, as evaluations do; the file's own 3D joints have y upwards.

    Args:
        split: ``'train'`` or ``'test'``.
        view: Which of the three Kinects, from 1; published results use the first.
        cube: Width, height and depth of the cube, metres. A2J's box is
            ``(0.22, 0.22, 0.3)``.
        second_cube: The same for the second subject of the test set, whose hand is
            smaller, such as ``(0.25, 0.25, 0.25)``. Default: ``cube``.
        center_file: ``.mat`` of centres ``centre_pixel``, relative to
            ``data_root``, as A2J and V2V-PoseNet distribute them. Default: the mean
            of the annotated joints, which a method cannot know when it is tested.
        focal, principal_pt: The depth camera, pixels.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    METAINFO: ClassVar[dict] = nyu_metainfo()

    def __init__(
        self,
        split: str = 'train',
        view: int = 1,
        cube: Sequence[float] = (0.3, 0.3, 0.3),
        second_cube: Sequence[float] | None = None,
        center_file: str | None = None,
        focal: Sequence[float] = nyu_files.FOCAL,
        principal_pt: Sequence[float] = nyu_files.PRINCIPAL,
        **kwargs: Any,
    ) -> None:
        if split not in nyu_files.COUNTS:
            raise ValueError(f"split must be 'train' or 'test', got '{split}'")
        if view not in (1, 2, 3):
            raise ValueError(f'view must be 1, 2 or 3, got {view}')
        self.split = split
        self.view = view
        self.cube = _triple('cube', cube)
        self.second_cube = None
        if second_cube is not None:
            self.second_cube = _triple('second_cube', second_cube)
        self.center_file = center_file
        if len(focal) != 2 or len(principal_pt) != 2 or min(focal) <= 0:
            raise ValueError(
                'focal and principal_pt must be two numbers each, and focal positive, '
                f'got {focal} and {principal_pt}'
            )
        self.camera = ((focal[0], focal[1]), (principal_pt[0], principal_pt[1]))
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        center_file = self.center_file and osp.join(self.data_root, self.center_file)
        return nyu_files.read_hands(
            self.data_root,
            self.split,
            self.view,
            self.camera,
            self.cube,
            self.second_cube,
            center_file,
        )


def _triple(name: str, values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) != 3 or min(values) <= 0:
        raise ValueError(f'{name} must be three positive sizes in metres, got {values}')
    return values[0], values[1], values[2]
