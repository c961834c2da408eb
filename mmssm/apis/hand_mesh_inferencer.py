"""Hand meshes of images, folders, videos and cameras in one call."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmengine.utils import ProgressBar
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from numpy.typing import NDArray

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.engine import preflight
from mmssm.geometry.rotations import matrix_to_axis_angle
from mmssm.inputs import Frames, UnreadableSource, open_frames
from mmssm.inputs.frames import IMAGE_SUFFIXES, as_bgr, natural_order, read_image
from mmssm.utils.errors import UserError

from .catalog import resolve_model
from .devices import find_device, find_dtype
from .hand_boxes import FoundHands, GivenHands, HandFinder, make_finder
from .results import HandMeshResult, HandResult

_NOT_OURS = ('LoadImage', 'mmssm.LoadCheckedImage', 'GenerateTarget')
"""Steps of a config's pipeline that a crop of a given image does without."""


class FrameHands(NamedTuple):
    """One frame with its hands.

    Attributes:
        number: Of the frame, from 0.
        name: File name of an image of a folder, else ``''``.
        image: ``(H, W, 3)`` BGR; None if it could not be read.
        hands: What was found in it.
        problem: Why it could not be used, or None.
    """

    number: int
    name: str
    image: NDArray[np.uint8] | None
    hands: tuple[HandResult, ...]
    problem: str | None = None


class HandMeshInferencer:
    """Finds the meshes of hands.

    .. code-block:: python

        from mmssm.apis import HandMeshInferencer

        infer = HandMeshInferencer('hamba-small-synthhand')
        result = infer('photo.jpg', bboxes=[40, 60, 180, 200], sides='left')
        result.to_json('photo.json')

    Args:
        model: Name of a model (``list_models(task='hand_mesh')``) or a config file.
        weights: Its weights, ``.pth`` or ``.safetensors``; the model's own if None.
        device: Where it runs; None: a GPU if there is one.
        dtype: ``'float32'``, ``'bfloat16'`` or ``'float16'`` (or PyTorch's): what
            matrix products are computed in. Scans and geometry keep float32.
        batch_size: Crops of hands that are looked at at once, over frames.
        frontend: What finds hands where no boxes are given: a name of
            :func:`~mmssm.apis.hand_boxes.make_finder`, or a function from a BGR image
            to :class:`~mmssm.apis.hand_boxes.FoundHands`. Loaded when it is needed.
        focal_length: Of the images, pixels; None: far away, as
            :class:`mmssm.models.HandMeshEstimator` says. Depths are only as right as
            this is.
        show_progress: Whether calls draw a bar on standard error.

    Raises:
        UnknownModelError: No model is called so; the nearest names are offered.
        MissingWeightsError: It has no weights here; the message has the command that
            makes them.
        UserError: Model, weights or device cannot be used.
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        model: str | Path = 'hamba-small-synthhand',
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = 'float32',
        batch_size: int = 16,
        frontend: str | HandFinder = 'mediapipe',
        focal_length: float | None = None,
        show_progress: bool = True,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be 1 or more, got {batch_size}')
        if focal_length is not None and not focal_length > 0:
            raise ValueError(f'focal_length must be positive, got {focal_length}')
        self.batch_size = batch_size
        self.show_progress = show_progress
        self.dtype = find_dtype(dtype)
        self.device = find_device(device)
        self._frontend = frontend
        self._finder: HandFinder | None = (
            None if isinstance(frontend, str) else frontend
        )

        resolved = resolve_model(model, weights)
        self.name, self.weights = resolved.name, resolved.weights
        self._caveat = resolved.caveat
        config = preflight.read_config(str(resolved.config))
        if config.model.type != 'mmssm.HandMeshEstimator':
            raise UserError(
                f'{resolved.name} ({config.model.type}) predicts no hand meshes; '
                '`mmssm list --task hand_mesh` shows the models that do'
            )
        self._scope = config.get('default_scope', 'mmpose')
        with DefaultScope.overwrite_default_scope(self._scope):
            self.model = MODELS.build(config.model)
            self._pipeline = Compose(
                [
                    step
                    for step in config.val_dataloader.dataset.pipeline
                    if step['type'] not in _NOT_OURS
                ]
            )
        checkpoint = preflight.read_checkpoint(resolved.weights)
        preflight.check_weights(self.model, checkpoint, resolved.weights)
        self.model.to(self.device).eval()
        if focal_length is not None:
            self.model.focal_length = focal_length
        self._meta = parse_pose_metainfo(hand_metainfo('hand'))

    @property
    def faces(self) -> NDArray[np.int64]:
        """Faces of a right hand ``(F, 3)``, counter-clockwise from outside."""
        return self.model.head.mano.faces.cpu().numpy().astype(np.int64)

    @property
    def finder(self) -> HandFinder:
        """What finds hands where no boxes are given.

        Raises:
            UserError: It cannot be had; the message says how it can.
        """
        if self._finder is None:
            self._finder = make_finder(str(self._frontend))
        return self._finder

    def __call__(
        self,
        source: Any,
        bboxes: Any = None,
        sides: Any = None,
        *,
        fps: float | None = None,
    ) -> HandMeshResult:
        """Looks at all frames of a source.

        Args:
            source: Image, video, stack of arrays, folder of images or list of arrays
                (both of any sizes), as :func:`mmssm.inputs.open_frames` takes them.
            bboxes: Where the hands are, pixels of the image: ``(4,)`` or ``(N, 4)``
                of ``(x0, y0, x1, y1)`` about the joints, the same in all frames; a
                sequence of such for each frame; or a mapping from frame numbers to
                such. None: the front end looks for them.
            sides: ``'right'`` or ``'left'``, for all or in the form of ``bboxes``.
                None: what the front end says; of given boxes right.
            fps: Frames per second, instead of what a video says.

        Returns:
            The hands of every frame.

        Raises:
            UnreadableSource: A frame cannot be read.
            ValueError: A box is NaN, has no size or is outside the image (frame and
                box are named), boxes and frames do not fit, or the source is a
                stream without an end, which :meth:`stream` is for.
        """
        with _Source(source, fps) as frames:
            if frames.num_frames is None:
                raise ValueError(
                    f'{frames.name} has no end: use stream(source), which gives frames '
                    'as they come'
                )
            bar = ProgressBar(frames.num_frames, file=sys.stderr) if self._bar else None
            hands = []
            names = []
            for frame in self._look(frames, bboxes, sides):
                hands.append(list(frame.hands))
                names.append(frame.name)
                if bar is not None:
                    bar.update()
            if bar is not None:
                print(file=sys.stderr)
            return HandMeshResult(
                frames=hands,
                faces=self.faces,
                image_size=frames.image_size,
                fps=frames.fps,
                source=frames.name,
                model=self.name,
                notes=(*frames.notes, *self.notes_on(bboxes, sides)),
                frame_names=tuple(names) if any(names) else (),
            )

    def stream(
        self,
        source: Any,
        bboxes: Any = None,
        sides: Any = None,
        *,
        fps: float | None = None,
        skip_unusable: bool = False,
        wanted: Callable[[int, str], bool] | None = None,
    ) -> Iterator[FrameHands]:
        """Looks at frames as they come; memory does not grow with their number.

        Args:
            source: As for a call; a camera or a stream too. Those are looked at frame
                by frame, others in batches.
            bboxes: As for a call.
            sides: As for a call.
            fps: As for a call.
            skip_unusable: Whether a frame that cannot be read or has an impossible
                box is given out with its ``problem``, instead of an error.
            wanted: Says by a frame's number and name whether to look at it; None: all.

        Yields:
            Frames in their order.

        Raises:
            UnreadableSource: The source cannot be opened.
            ValueError: As for a call.
        """
        with _Source(source, fps) as frames:
            yield from self._look(frames, bboxes, sides, skip_unusable, wanted)

    def notes_on(self, bboxes: Any, sides: Any) -> tuple[str, ...]:
        """What a reader of results should know: of the weights, and of the boxes."""
        notes = [f'{self.name} was {self._caveat}'] if self._caveat else []
        if bboxes is None:
            name = getattr(self.finder, 'name', str(self._frontend))
            told = '' if sides is None else f'; all taken for {sides} hands'
            notes.append(f'hands were found by {name}{told}')
        elif sides is None:
            notes.append(
                'the sides of the hands were not given: right hands are assumed'
            )
        return tuple(notes)

    @property
    def _bar(self) -> bool:
        return self.show_progress and sys.stderr.isatty()

    def _look(
        self,
        frames: '_Source',
        bboxes: Any,
        sides: Any,
        skip: bool = False,
        wanted: Callable[[int, str], bool] | None = None,
    ) -> Iterator[FrameHands]:
        given = None if bboxes is None else GivenHands(bboxes, sides)
        if given is not None and frames.num_frames is not None:
            given.check(frames.num_frames, frames.name)
        waiting: list[_Waiting] = []
        for number, name, image in frames.images(wanted):
            place = f'{frames.name}, {name or f"frame {number}"}'
            try:
                if isinstance(image, UnreadableSource):
                    raise image
                found = self._find(image, sides) if given is None else given.of(number)
                crops = self._crops(image, found, place)
            except ValueError as error:
                if not skip:
                    raise
                seen = None if isinstance(image, UnreadableSource) else image
                problem = FrameHands(number, name, seen, (), str(error))
                waiting.append(
                    _Waiting(problem, FoundHands(np.zeros((0, 4), np.float32), ()), [])
                )
            else:
                frame = FrameHands(number, name, image, ())
                waiting.append(_Waiting(frame, found, crops))
            full = sum(len(one.crops) for one in waiting) >= self.batch_size
            if full or len(waiting) >= self.batch_size or frames.num_frames is None:
                yield from self._answer(waiting)
                waiting = []
        yield from self._answer(waiting)

    def _find(self, image: NDArray[np.uint8], side: Any) -> FoundHands:
        if side is not None and side not in ('right', 'left'):
            raise ValueError(
                "without boxes, sides is 'right' or 'left' for all hands or None, got "
                f'{side!r}'
            )
        found = self.finder(image)
        sides = found.sides if side is None else (side,) * len(found.bboxes)
        return FoundHands(found.bboxes, tuple(sides))

    def _crops(
        self, image: NDArray[np.uint8], found: FoundHands, place: str
    ) -> list[dict]:
        """What the pipeline makes of each hand of an image."""
        with DefaultScope.overwrite_default_scope(self._scope):
            return [
                self._pipeline(self._sample(image, box, side, place))
                for box, side in zip(*found, strict=True)
            ]

    def _sample(
        self, image: NDArray[np.uint8], box: NDArray, side: str, place: str
    ) -> dict[str, Any]:
        right = side == 'right'
        return dict(
            self._meta,
            img=image,
            img_path=place,
            img_shape=image.shape[:2],
            ori_shape=image.shape[:2],
            bbox=np.asarray(box, np.float32)[None],
            bbox_score=np.ones(1, np.float32),
            hand_type=np.array([[right, not right]], np.float32),
        )

    def _answer(self, waiting: Sequence['_Waiting']) -> Iterator[FrameHands]:
        """Looks at the crops of some frames and gives them out."""
        crops = [crop for one in waiting for crop in one.crops]
        predicted: list[InstanceData] = []
        for start in range(0, len(crops), self.batch_size):
            predicted += self._predict(crops[start : start + self.batch_size])
        hands = iter(predicted)
        for one in waiting:
            own = tuple(
                _hand_result(next(hands), box, side)
                for box, side in zip(*one.found, strict=True)
            )
            yield one.frame._replace(hands=own)

    def _predict(self, crops: list[dict]) -> list[InstanceData]:
        lower = self.dtype != torch.float32
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, self.dtype, enabled=lower),
        ):
            samples = self.model.test_step(pseudo_collate(crops))
        return [sample.pred_instances for sample in samples]


class _Waiting(NamedTuple):
    """A frame that waits for its batch."""

    frame: FrameHands
    found: FoundHands
    crops: list[dict]


class _Source:
    """Frames of any source; those of a folder or a list may differ in size.

    :func:`open_frames` wants one size, as videos and lifters do; photographs of
    hands are looked at one by one.
    """

    def __init__(self, source: Any, fps: float | None) -> None:
        self._frames: Frames | None = None
        self._size: tuple[int, int] | None = None
        self.fps = fps
        self.num_frames: int | None
        self._stills = _stills(source)
        is_path = isinstance(source, str | Path)
        if self._stills:
            self.num_frames = len(self._stills)
            self.name = str(source) if is_path else 'arrays'
            return
        self._frames = open_frames(source, fps=fps)
        self._size = self._frames.image_size
        self.num_frames = self._frames.num_frames
        self.name = str(source) if is_path else self._frames.name
        still = Path(self.name).suffix.lower() in IMAGE_SUFFIXES
        if not still and not isinstance(source, np.ndarray):
            self.fps = self._frames.fps

    def __enter__(self) -> '_Source':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._frames is not None:
            self._frames.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found amiss while reading."""
        return () if self._frames is None else tuple(self._frames.notes)

    @property
    def image_size(self) -> tuple[int, int]:
        """``(width, height)`` of the frames, of the first of images in any sizes."""
        if self._size is None:
            raise UnreadableSource(f'no image of {self.name} could be read')
        return self._size

    def images(
        self, wanted: Callable[[int, str], bool] | None = None
    ) -> Iterator[tuple[int, str, NDArray[np.uint8] | UnreadableSource]]:
        """Numbers, names and BGR images, or why there is none."""
        if self._frames is not None:
            for number, image in self._frames:
                if wanted is None or wanted(number, ''):
                    yield number, '', image
        for number, (name, read) in enumerate(self._stills):
            if wanted is not None and not wanted(number, name):
                continue
            seen = _image_or_fault(read)
            if self._size is None and not isinstance(seen, UnreadableSource):
                self._size = (seen.shape[1], seen.shape[0])
            yield number, name, seen


def _stills(source: Any) -> list[tuple[str, Callable[[], NDArray[np.uint8]]]]:
    """Names and readers of the images of a folder or a list; else none."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        files = images_in(Path(source))
        return [(file.name, partial(read_image, file)) for file in files]
    if isinstance(source, list | tuple):
        return [
            ('', partial(as_bgr, array, f'array {number}'))
            for number, array in enumerate(source)
        ]
    return []


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, ``2.png`` before ``10.png``.

    Raises:
        UnreadableSource: There is none.
    """
    files = [file for file in folder.iterdir() if file.is_file()]
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise UnreadableSource(
            f'there is no image ({", ".join(sorted(IMAGE_SUFFIXES))}) in the folder '
            f'{folder}'
        )
    return sorted(images, key=lambda file: natural_order(file.name))


def _image_or_fault(
    read: Callable[[], NDArray[np.uint8]],
) -> NDArray[np.uint8] | UnreadableSource:
    try:
        return read()
    except UnreadableSource as error:
        return error


def _hand_result(hand: InstanceData, box: NDArray, side: str) -> HandResult:
    """The first and only hand of a prediction."""

    def rotations(name: str) -> NDArray:
        matrices = torch.as_tensor(np.asarray(_array(hand[name]), np.float64))
        return matrix_to_axis_angle(matrices.reshape(-1, 3, 3)).numpy()

    return HandResult(
        side=side,
        bbox=np.asarray(box, np.float32),
        keypoints=_array(hand.keypoints)[0],
        keypoints_3d=_array(hand.keypoints_3d)[0],
        vertices=_array(hand.mesh_vertices)[0],
        camera_translation=_array(hand.full_cam_t)[0],
        focal_length=_array(hand.focal_length)[0],
        principal_point=_array(hand.principal_pt)[0],
        global_orient=rotations('mano_global_orient')[0],
        hand_pose=rotations('mano_hand_pose'),
        betas=_array(hand.mano_betas)[0],
    )


def _array(value: Any) -> NDArray[np.float32]:
    return np.asarray(torch.as_tensor(value).float().cpu(), np.float32)
