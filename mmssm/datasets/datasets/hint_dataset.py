"""HInt's hands."""

from typing import Any, ClassVar

from mmssm.datasets import hint_files
from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class HIntDataset(HandDataset):
    """HInt (New Days of Hands, VISOR, Ego4D) from its official folders.

    MMPose has no class for it. Joints are known in the plane alone, hidden ones too:
    beside the keys of :class:`HandDataset`, samples have ``keypoints_occluded
    (1, 21)``, 1 where a joint is hidden. There is no camera.

    Args:
        split: ``'TRAIN'``, ``'VAL'`` or ``'TEST'``.
        source: ``'newdays_img'``, ``'epick_img'`` (VISOR), ``'ego4d_img'`` or
            ``'ego4d_seq'``.
        bbox_order: What the four numbers of a box are: ``'xyxy'``, ``'xywh'``,
            ``'yxyx'`` or ``'yxhw'``. No public text says it: if the boxes
            fit their joints better in another order, that is an error which says so.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('hint')

    def __init__(
        self,
        split: str = 'TEST',
        source: str = 'newdays_img',
        bbox_order: str = 'xyxy',
        **kwargs: Any,
    ) -> None:
        known = {
            'split': (split, hint_files.SPLITS),
            'source': (source, hint_files.SOURCES),
            'bbox_order': (bbox_order, hint_files.BBOX_ORDERS),
        }
        for name, (value, choice) in known.items():
            if value not in choice:
                raise ValueError(f"{name} must be out of {choice}, got '{value}'")
        self.split = split
        self.source = source
        self.bbox_order = bbox_order
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        return hint_files.read_hands(
            self.data_root, self.split, self.source, self.bbox_order
        )
