"""DexYCB's hands."""

from logging import WARNING
from os import path as osp
from typing import Any, ClassVar

from mmengine.logging import print_log

from mmssm.datasets import dexycb_files
from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.mano_poses import PoseSpace, read_pose_space
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class DexYCBDataset(HandDataset):
    """DexYCB from its official tree, by its official splits.

    MMPose has no class for it. Frames without a hand are left out; ``img_id``
    counts them, as the official result file does. Images are right and left hands;
    the official evaluation counts both, and does not flip. Boxes are those of the
    labelled 2D joints, as they are: methods enlarge them by what their authors
    chose.

    Joints in space and in the plane are those of the labels.

    Args:
        setup: ``'s0'`` (the authors' default), ``'s1'`` (unseen subjects), ``'s2'``
            (unseen views) or ``'s3'`` (unseen objects).
        split: ``'train'``, ``'val'`` or ``'test'``.
        index_file: File of all labels, relative to ``data_root``, made by
            ``tools/dataset_converters/dexycb_index.py``. Without it, every label
            file of the split is read when the dataset is built: hours for half a
            million on a slow disk.
        partial: Take what is there of a part of the data set. Default: an error,
            as splits are places in the whole list of sequences.
        with_mano: Add ``mano_pose (1, 48)`` (axis-angle, radians, mean pose
            included), ``mano_betas (1, 10)``, ``has_mano_pose (1,)`` and
            ``has_betas (1,)``. Shapes of left hands are never known: those of the
            files are of a left model that no right hand mirrors.
        hand_model: File of MANO's right hand; the files store coefficients of its
            principal components. Without it poses of right hands are not known
            (``has_mano_pose`` is 0), with a warning.
        left_hand_model: Likewise of the left hand.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('dexycb')

    def __init__(
        self,
        setup: str = 's0',
        split: str = 'train',
        index_file: str | None = None,
        partial: bool = False,
        with_mano: bool = False,
        hand_model: str | None = None,
        left_hand_model: str | None = None,
        **kwargs: Any,
    ) -> None:
        dexycb_files.choice(setup, split)
        self.setup = setup
        self.split = split
        self.index_file = index_file
        self.partial = partial
        self.with_mano = with_mano
        self.hand_model = hand_model
        self.left_hand_model = left_hand_model
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        index_file = self.index_file and osp.join(self.data_root, self.index_file)
        return dexycb_files.read_hands(
            self.data_root,
            self.setup,
            self.split,
            index_file,
            self.partial,
            self._pose_spaces() if self.with_mano else None,
        )

    def _pose_spaces(self) -> dict[str, PoseSpace | None]:
        spaces: dict[str, PoseSpace | None] = {}
        models = {'right': self.hand_model, 'left': self.left_hand_model}
        for side, model in models.items():
            spaces[side] = None if model is None else read_pose_space(model)
            if model is None:
                print_log(
                    f'{self.data_root}: poses are coefficients of the components of '
                    f"MANO's {side} hand, whose file was not given; no pose of a "
                    f'{side} hand is known',
                    'current',
                    WARNING,
                )
        return spaces
