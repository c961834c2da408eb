"""RHD with its joints in space."""

from typing import Any, ClassVar

from mmssm.datasets import rhd_files
from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class RHD3DDataset(HandDataset):
    """RHD (Rendered Handpose Dataset) from its official pickles.

    What MMPose's ``Rhd2DDataset`` cannot do: it reads a json that MMPose made and
    leaves its 3D joints alone. Joints are in this package's order; the files list
    fingers from tip to base, the left hand first.

    An image shows up to two hands; which of them are samples differs between
    papers, and so do sample numbers. The default is the rule of the set's authors.

    Args:
        split: ``'training'`` or ``'evaluation'``.
        hands: ``'larger'``, of each image the hand that covers more pixels of the
            mask, the right one if they are equal (reads every mask once, about a
            minute for the training set), or ``'both'``.
        min_visible: Leave out hands with fewer visible joints. With
            ``hands='both'``, 21 gives every hand that is seen whole.
        use_visibility: Whether joints that the files call hidden have
            ``keypoints_visible`` 0, and so do not count. Their place in space is
            known all the same. Evaluations differ, and some say nothing.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('rhd3d')

    def __init__(
        self,
        split: str = 'training',
        hands: str = 'larger',
        min_visible: int = 0,
        use_visibility: bool = True,
        **kwargs: Any,
    ) -> None:
        if split not in rhd_files.COUNTS:
            raise ValueError(f"split must be 'training' or 'evaluation', got '{split}'")
        if hands not in ('larger', 'both'):
            raise ValueError(f"hands must be 'larger' or 'both', got '{hands}'")
        if not 0 <= min_visible <= 21:
            raise ValueError(f'min_visible must lie in [0, 21], got {min_visible}')
        self.split = split
        self.which = hands
        self.min_visible = min_visible
        self.use_visibility = use_visibility
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        return rhd_files.read_hands(
            self.data_root,
            self.split,
            self.which,
            self.min_visible,
            self.use_visibility,
        )
