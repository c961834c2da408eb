"""Files of hand meshes: one frame after the other, each whole or not there."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample
from numpy.typing import NDArray

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.geometry.mesh_files import save_mesh
from mmssm.inputs import Frames, open_frames
from mmssm.inputs.frames import IMAGE_SUFFIXES
from mmssm.utils.whole_files import write_atomically
from mmssm.visualization import HandMeshVisualizer
from mmssm.visualization.viewer import write_annotated_video, write_hand_page

from .hand_mesh_inferencer import FrameHands, images_in
from .result_files import ResultFileError
from .results import HandMeshResult, HandResult, read_hand_mesh_result

LONGEST_NAME = 120
"""Characters; what is added to them must fit into a file system's 255 bytes."""

_MADE_WITH = 'made with settings '


class HandPainter:
    """Draws hands over images, and each from the side and from above.

    Args:
        faces: ``(F, 3)`` of a right hand.
    """

    def __init__(self, faces: NDArray) -> None:
        self._visualizer = HandMeshVisualizer(name='hands')
        self._visualizer.set_dataset_meta(parse_pose_metainfo(hand_metainfo('hand')))
        self._visualizer.set_faces(faces)

    def draw(
        self, image: NDArray[np.uint8], hands: Sequence[HandResult]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draws the hands of an image.

        Args:
            image: ``(H, W, 3)`` BGR.
            hands: What is in it, perhaps nothing.

        Returns:
            BGR pictures: meshes, joints and boxes over the image, a small image
            enlarged by a whole number; and the views beside, ``(H', 0, 3)`` without
            hands.
        """
        if not hands:
            return image, np.zeros((len(image), 0, 3), np.uint8)
        sample = PoseDataSample(pred_instances=_instances(hands))
        picture: Any = self._visualizer.add_datasample(
            'hands', image[..., ::-1].copy(), sample, draw_gt=False, draw_bbox=True
        )
        picture = picture[..., ::-1]
        width = picture.shape[0] // image.shape[0] * image.shape[1]
        return picture[:, :width], picture[:, width:]


def _instances(hands: Sequence[HandResult]) -> InstanceData:
    def stacked(name: str) -> NDArray:
        return np.stack([getattr(hand, name) for hand in hands])

    return InstanceData(
        bboxes=stacked('bbox'),
        bbox_scores=np.ones(len(hands), np.float32),
        keypoints=stacked('keypoints'),
        keypoint_scores=np.ones((len(hands), 21), np.float32),
        keypoints_3d=stacked('keypoints_3d'),
        mesh_vertices=stacked('vertices'),
        full_cam_t=stacked('camera_translation'),
        focal_length=stacked('focal_length'),
        principal_pt=stacked('principal_point'),
    )


class HandFiles:
    """The files of one source in a folder.

    For each image ``NAME``: ``NAME_overlay.png``, the meshes over it;
    ``NAME_views.png``, each hand from the side and from above; ``NAME_hand0.obj`` and
    on, metres in the camera's frame; ``NAME.html``, a page to turn them in a browser;
    and last ``NAME.json``, which :func:`mmssm.apis.read_hand_mesh_result` reads.

    Frames of a video are called ``NAME_000000`` and on and have no page of their own;
    in the end come ``NAME.npz``, ``NAME.html`` and ``NAME.mp4`` of the whole
    (:meth:`finish`).

    A frame whose JSON file is there and was made with the same settings is done: a
    run that was stopped goes on behind it.

    Args:
        folder: Where the files go.
        source: Path of an image, a folder or a video; or a camera.
        faces: ``(F, 3)`` of a right hand.
        model: Name of the network.
        settings: All that decides on the numbers, as plain data.
        taken: Names in use; those of this source are added.
        notes: What readers of the numbers should know.
        pages: Whether pages are written.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        faces: NDArray,
        model: str,
        settings: Mapping[str, Any],
        taken: set[str],
        notes: Sequence[str] = (),
        pages: bool = True,
    ) -> None:
        self.folder, self.source, self.pages = folder, source, pages
        path = Path(source)
        self.is_video = not path.is_dir() and path.suffix.lower() not in IMAGE_SUFFIXES
        files = images_in(path) if path.is_dir() else [path]
        self._names = {
            file.name if path.is_dir() else '': safe_name(
                file.name, _whole(file), taken
            )
            for file in files
        }
        self._faces, self._model, self._notes = faces, model, tuple(notes)
        self._settings = settings
        self._painter = HandPainter(faces)
        self._done: dict[int, Path] = {}
        self.from_before = 0

    @property
    def num_done(self) -> int:
        """How many frames are done, those of earlier runs among them."""
        return len(self._done)

    def stem(self, number: int, name: str) -> str:
        """What the files of a frame are called, without their endings.

        Args:
            number: Of the frame.
            name: Of the image in a folder, else ``''``.
        """
        stem = self._names[name]
        return f'{stem}_{number:06d}' if self.is_video else stem

    def place(self, number: int, name: str) -> str:
        """What a frame is called in messages."""
        if self.is_video:
            return f'{self.source}, frame {number}'
        return str(Path(self.source) / name)

    def is_missing(self, number: int, name: str) -> bool:
        """Whether a frame is still to be looked at; those of cameras always are."""
        if not Path(self.source).exists():
            return True
        path = self.folder / f'{self.stem(number, name)}.json'
        if not path.is_file() or not self._is_of_these_settings(path, name):
            return True
        self._done[number] = path
        self.from_before += 1
        return False

    def _is_of_these_settings(self, path: Path, name: str) -> bool:
        try:
            notes = read_hand_mesh_result(path).notes
        except ResultFileError:
            return False
        return self._mark(name) in notes

    def _mark(self, name: str) -> str:
        """Tells settings and source, as they are now, from others."""
        path = Path(self.source) / name
        stamp = path.stat() if path.is_file() else None
        told = dict(
            self._settings,
            source=_whole(path),
            size=stamp and stamp.st_size,
            time=stamp and stamp.st_mtime_ns,
        )
        text = json.dumps(told, sort_keys=True, default=str)
        return _MADE_WITH + hashlib.sha256(text.encode()).hexdigest()[:16]

    def write(self, frame: FrameHands) -> None:
        """Writes the files of one frame, the JSON last.

        Raises:
            FileNotWrittenError: One could not be written; what was there is
                untouched.
            ValueError: The frame has no image.
        """
        if frame.image is None:
            raise ValueError(f'frame {frame.number} has no image: {frame.problem}')
        stem = self.stem(frame.number, frame.name)
        overlay, views = self._painter.draw(frame.image, frame.hands)
        result = HandMeshResult(
            frames=[list(frame.hands)],
            faces=self._faces,
            image_size=(frame.image.shape[1], frame.image.shape[0]),
            fps=None,
            source=str(Path(self.source) / frame.name),
            model=self._model,
            notes=(*self._notes, self._mark(frame.name)),
        )
        for number, hand in enumerate(frame.hands):
            path = self.folder / f'{stem}_hand{number}.obj'
            save_mesh(path, hand.vertices_camera, result.faces_of(hand))
        write_image(self.folder / f'{stem}_overlay.png', overlay)
        if views.size:
            write_image(self.folder / f'{stem}_views.png', views)
        if self.pages and not self.is_video:
            page = self.folder / f'{stem}.html'
            write_hand_page(page, result, [(0, frame.image)])
        self._done[frame.number] = self.folder / f'{stem}.json'
        result.to_json(self._done[frame.number])

    def finish(self) -> HandMeshResult:
        """Writes what is of a whole video, made of the files of its frames.

        Returns:
            The result, those frames included that were done by earlier runs. Frames
            that could not be used have no hands.

        Raises:
            FileNotWrittenError: A file could not be written.
            UserError: OpenCV cannot write videos here; all else is written then.
            ValueError: No frame is done.
        """
        if not self._done:
            raise ValueError(f'no frame of {self.source} could be used')
        whole = self.folder / self._names['']
        # a camera's frames are gone
        is_file = Path(self.source).is_file()
        with open_frames(self.source) if is_file else nullcontext() as video:
            result = self._joined(video)
            result.to_npz(f'{whole}.npz')
            if self.pages:
                write_hand_page(f'{whole}.html', result, video)
        if is_file:
            write_annotated_video(f'{whole}.mp4', result, self.source)
        return result

    def _joined(self, video: Frames | None) -> HandMeshResult:
        parts = {
            number: read_hand_mesh_result(path) for number, path in self._done.items()
        }
        return HandMeshResult(
            frames=[
                parts[number].frames[0] if number in parts else []
                for number in range(max(parts) + 1)
            ],
            faces=self._faces,
            image_size=next(iter(parts.values())).image_size,
            fps=None if video is None else video.fps,
            source=self.source,
            model=self._model,
            notes=(*self._notes, *(() if video is None else video.notes)),
        )


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Writes a BGR image, whole or not at all.

    Raises:
        FileNotWrittenError: It could not be written.
    """
    write_atomically(path, cv2.imencode(path.suffix, image)[1].tobytes())


def safe_name(name: str, path: str, taken: set[str]) -> str:
    """A name that every file system and shell takes, another for each file.

    Args:
        name: Of the input.
        path: Of the input, whole.
        taken: Names in use; the new one is added.
    """
    plain = re.sub(r'[^A-Za-z0-9._-]', '_', name).lstrip('.-')[:LONGEST_NAME]
    if plain != name or plain in taken:
        plain += '-' + hashlib.sha256(path.encode('utf-8', 'replace')).hexdigest()[:8]
    taken.add(plain)
    return plain


def _whole(path: str | Path) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else str(path)
