"""HO-3D's and H2O-3D's hands."""

from os import path as osp
from typing import Any, ClassVar

from mmssm.datasets import hand_index, ho3d_files
from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class HO3DDataset(HandDataset):
    """HO-3D, versions 2 and 3, and H2O-3D from their official trees.

    MMPose has no class for them. Samples have the keys of :class:`HandDataset`, in
    OpenCV's camera frame (the files are in OpenGL's) and this package's order of
    joints, and ``mano_pose (1, 48)`` (axis-angle, radians; the files' mean pose is
    already included), ``mano_betas (1, 10)``, ``has_mano_pose (1,)``,
    ``has_betas (1,)``. Frames without annotation are left out, but counted in
    ``img_id``, the place in a result file.

    Of training images the boxes are those of the joints, of evaluation images those
    given. Of evaluation images the wrist alone is known (``keypoints_visible`` and
    ``keypoints_cam_weights (1, 21)`` are 1 there), unless the public
    ``evaluation_xyz.json`` lies beside ``evaluation.txt``. Left hands (H2O-3D)
    have no shape: the file's is of a left model that no right hand mirrors.

    Args:
        version: ``'v2'``, ``'v3'`` or ``'h2o3d'``.
        split: ``'train'`` or ``'evaluation'``.
        with_vertices: Add ``vertices (1, V, 3)``, metres, camera frame, of
            ``evaluation_verts.json``; training files have none.
        index_file: File of all annotations, relative to ``data_root``, made by
            ``tools/dataset_converters/ho3d_index.py``. Without it, the file of every
            image is read when the dataset is built: some minutes.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('ho3d')

    def __init__(
        self,
        version: str = 'v2',
        split: str = 'train',
        with_vertices: bool = False,
        index_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        if version not in ho3d_files.VERSIONS or split not in ho3d_files.SPLITS:
            raise ValueError(
                f'expected a version out of {ho3d_files.VERSIONS} and a split out of '
                f"{ho3d_files.SPLITS}, got '{version}' and '{split}'"
            )
        if with_vertices and (version, split) not in (
            ('v2', 'evaluation'),
            ('v3', 'evaluation'),
        ):
            raise ValueError(
                f'vertices are published for the evaluation of v2 and v3 alone, not '
                f'for {version} {split}'
            )
        self.version = version
        self.split = split
        self.with_vertices = with_vertices
        self.index_file = index_file
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        if self.index_file is not None:
            return hand_index.read_index(
                osp.join(self.data_root, self.index_file),
                self.data_root,
                'tools/dataset_converters/ho3d_index.py makes it',
            )
        return ho3d_files.read_hands(
            self.data_root, self.version, self.split, self.with_vertices
        )
