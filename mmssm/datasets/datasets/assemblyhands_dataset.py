"""AssemblyHands seen from the headset."""

from typing import Any, ClassVar

from mmssm.datasets import assemblyhands_files
from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class AssemblyHandsDataset(HandDataset):
    """AssemblyHands, the headset's rectified images, from its official files.

    MMPose has no class for it. A sample is one hand of one image, as in the
    authors' baseline: each hand that has a box. Joints in the plane are the
    projection of those in space, which are moved from the world into the camera of
    the frame. Boxes are those of the files, not enlarged.

    The files of ``test`` hold no joints: the class reads ``train`` and ``val``, and
    ``test`` where somebody has its ``joint_3d`` file.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        min_valid: Leave out hands with fewer valid joints (the baseline: 10), with
            a warning that counts them.
        camera_suffix: What the calibration's camera names have behind those of the
            images.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('assemblyhands')

    def __init__(
        self,
        split: str = 'train',
        min_valid: int = 10,
        camera_suffix: str = '_mono10bit',
        **kwargs: Any,
    ) -> None:
        if split not in assemblyhands_files.SPLITS:
            raise ValueError(
                f'split must be out of {assemblyhands_files.SPLITS}, got {split!r}'
            )
        if not 1 <= min_valid <= 21:
            raise ValueError(f'min_valid must lie in [1, 21], got {min_valid}')
        self.split = split
        self.min_valid = min_valid
        self.camera_suffix = camera_suffix
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        return assemblyhands_files.read_hands(
            self.data_root, self.split, self.min_valid, self.camera_suffix
        )
