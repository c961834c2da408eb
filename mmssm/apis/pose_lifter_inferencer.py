"""People in 3D from videos, cameras, images or 2D keypoints, in one call."""

import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.utils import ProgressBar
from numpy.typing import NDArray

from mmssm.geometry.root_placement import place_roots
from mmssm.inputs import Frames, open_frames
from mmssm.structures import h36m
from mmssm.structures.h36m_joints import convert_to_h36m, to_h36m
from mmssm.structures.tracks import KeypointSequence
from mmssm.utils.errors import UserError

from .gaps import Clip, Gaps, clips_of
from .lifter import Lifter
from .lifting_stream import (
    Detection,
    LiftedPerson,
    stream_blended,
    stream_prompt,
    stream_steps,
)
from .results import PERSON_ARRAYS, LiftingResult, PersonResult
from .streaming import StreamingLifter
from .windows import Windows, lift_clips

Frontend = Callable[[Frames], KeypointSequence]


@dataclass(frozen=True)
class LiftedFrame:
    """One frame of a stream.

    Attributes:
        number: Of the frame, from 0.
        persons: Who is in it, each with this one frame.
    """

    number: int
    persons: tuple[PersonResult, ...]


class PoseLifterInferencer:
    """Lifts the people of a video, an image, a camera or of 2D keypoints.

    .. code-block:: python

        from mmssm.apis import PoseLifterInferencer

        lift = PoseLifterInferencer('posemamba-mocap-27frm')
        result = lift('video.mp4')
        result.to_json('video.json')

    Sequences are lifted in windows that overlap, see :mod:`mmssm.apis.windows`; a
    causal model lifts them from their first frame on.

    Args:
        model: Name of a model (``list_models(task='body_3d_keypoint')``) or a config
            file.
        weights: Its weights, ``.pth`` or ``.safetensors``; the model's own if None.
        device: Where it runs; None: a GPU if there is one.
        dtype: ``'float32'``, ``'float64'``, ``'bfloat16'`` or ``'float16'`` (or
            PyTorch's); the last two are for matrix products, scans keep float32.
        batch_size: Windows that are lifted at once, over time and people.
        frontend: What finds the 2D joints of frames: a name of
            :func:`mmssm.inputs.pose2d` (``'mediapipe'``, a model of MMPose's,
            the path of a keypoint file), or what that returns, or a function from
            :class:`mmssm.inputs.Frames` to
            :class:`~mmssm.structures.tracks.KeypointSequence`.
        window: Frames in a window; None: what the model was trained with. A causal
            model has none.
        overlap: Frames that a window shares with the next; None: half of them.
        flip_test: Whether mirrored windows are lifted too and the mean is taken, at
            twice the cost; None: as the model's config says.
        min_score: 2D joints below this confidence count as missing.
        max_gap: Longest run of frames over which what is missing is interpolated. A
            person missing for longer is lifted in pieces.
        stature: Height of the people, metres: one camera does not tell a tall person
            far away from a short one nearby. None keeps MMPose's 4 mm for every
            pixel of the image, which is right at one distance and focal length only.
        place_root: Whether roots are placed before the camera, by weak perspective
            (:func:`mmssm.geometry.root_placement.place_roots`).
        focal_length: Of the camera, pixels; None: the diagonal of the image.
            Distances are only as right as this and ``stature`` are.
        show_progress: Whether calls draw a bar on standard error, if it is a
            terminal.

    Raises:
        UnknownModelError: No model is called so; the nearest names are offered.
        MissingWeightsError: It has no weights here; the message has the command that
            makes them.
        UserError: Model, weights or device cannot be used.
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        model: str | Path = 'posemamba-mocap-27frm',
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = 'float32',
        batch_size: int = 32,
        frontend: str | PathLike | Frontend = 'mediapipe',
        window: int | None = None,
        overlap: int | None = None,
        flip_test: bool | None = None,
        min_score: float = 0.3,
        max_gap: int = 15,
        stature: float | None = 1.7,
        place_root: bool = False,
        focal_length: float | None = None,
        show_progress: bool = True,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be 1 or more, got {batch_size}')
        if focal_length is not None and not 0 < focal_length < np.inf:
            raise ValueError(f'focal_length must be positive, got {focal_length}')
        self.gaps = Gaps(min_score, max_gap)
        self.batch_size = operator.index(batch_size)
        self.place_root = place_root or focal_length is not None
        self.focal_length = focal_length
        self.show_progress = show_progress
        self.lifter = Lifter(model, weights, device, dtype, flip_test, stature)
        self.windows = self._windows(window, overlap)
        self._chosen: Any = frontend if callable(frontend) else None
        self._wanted = '' if callable(frontend) else frontend

    def _windows(self, window: int | None, overlap: int | None) -> Windows:
        longest = self.lifter.num_frames
        if self.lifter.is_causal and (window, overlap) != (None, None):
            raise ValueError(
                f'{self.name} goes frame by frame and has no windows: leave out window '
                f'and overlap, got {window} and {overlap}'
            )
        if window is not None and window > longest and not self.lifter.can_stretch:
            raise ValueError(
                f'{self.name} was trained with windows of {longest} frames, and window '
                f'is {window}: take {longest} or less'
            )
        return Windows.of(longest if window is None else window, overlap)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.lifter.name

    @property
    def frontend(self) -> Any:
        """What finds 2D joints in frames.

        Raises:
            UserError: It cannot be had; the message says how it can.
        """
        if self._chosen is None:
            from mmssm.inputs import pose2d

            self._chosen = pose2d(self._wanted)
        return self._chosen

    def __call__(self, source: Any, *, fps: float | None = None) -> LiftingResult:
        """Lifts everybody in a source.

        Args:
            source: A video, an image, a folder of images that are the frames of a
                video, arrays: as :func:`mmssm.inputs.open_frames` takes them. Or 2D
                joints: a :class:`~mmssm.structures.tracks.KeypointSequence`, or the
                path of a keypoint file, ``.json`` or ``.npz``
                (:func:`mmssm.inputs.read_keypoints`).
            fps: Frames per second, instead of what the source says.

        Returns:
            All people and, in ``notes``, what was missing.

        Raises:
            UnreadableSource: A frame cannot be read.
            UserError: The keypoints are of an unknown joint set, or 2D joints cannot
                be found here.
            ValueError: The source is a stream without an end, which :meth:`stream`
                is for.
        """
        sequence, frontend, notes = self.find_keypoints(source, fps=fps)
        return self.lift(sequence, frontend, notes)

    def find_keypoints(
        self, source: Any, *, fps: float | None = None
    ) -> tuple[KeypointSequence, str, tuple[str, ...]]:
        """Finds the 2D joints of a source.

        Args:
            source: As for a call.
            fps: As for a call.

        Returns:
            The tracks, what they were found by, and what was amiss with the frames.

        Raises:
            ValueError: As for a call.
        """
        if isinstance(source, KeypointSequence):
            return replace(source, fps=fps or source.fps), 'given keypoints', ()
        if is_keypoint_file(source):
            from mmssm.inputs import read_keypoints

            sequence = read_keypoints(source, fps=fps)
            return sequence, f'keypoint file {Path(source).name}', ()
        with open_frames(source, fps=fps) as frames:
            if frames.num_frames is None:
                raise ValueError(
                    f'{frames.name} has no end: use stream(source), which gives '
                    'people as they come'
                )
            self._say_choice()
            sequence = self.frontend(_WithBar(frames) if self._shows_bars else frames)
            # a keypoint file is the front end, and the video the source
            sequence = replace(sequence, source=frames.name)
            return sequence, self._frontend_name, tuple(frames.notes)

    def lift(
        self,
        sequence: KeypointSequence,
        frontend: str = 'given keypoints',
        notes: tuple[str, ...] = (),
    ) -> LiftingResult:
        """Lifts tracks of 2D joints of any length.

        Memory is that of the tracks and the result, and of ``batch_size`` windows.

        Args:
            sequence: The tracks, of any joint set that has a body.
            frontend: What they were found by, for the result.
            notes: What to say besides in the result.

        Returns:
            All people.

        Raises:
            UserError: The joint set is unknown or has no body.
        """
        sequence = _as_h36m(sequence)
        pieces: list[tuple[int, Clip]] = []
        said = list(notes)
        for track in sequence.tracks:
            clips, about = clips_of(track, self.gaps, h36m.PARENTS)
            pieces += [(track.track_id, clip) for clip in clips]
            said += about
        if not pieces:
            said.append(f'nobody was found in {sequence.source}')
        joints = self._lift_clips([clip for _, clip in pieces], sequence.image_size)
        focal_length = self._focal_length(sequence.image_size)
        persons: dict[int, list[PersonResult]] = {}
        for (track_id, clip), lifted in zip(pieces, joints, strict=True):
            piece = _person(track_id, clip, lifted, sequence.image_size, focal_length)
            persons.setdefault(track_id, []).append(piece)
        if persons:
            said += self._assumptions(focal_length)
        return LiftingResult(
            persons=[_join(parts) for parts in persons.values()],
            joint_names=h36m.JOINT_NAMES,
            skeleton_links=h36m.SKELETON,
            image_size=sequence.image_size,
            fps=sequence.fps,
            num_frames=sequence.num_frames,
            source=sequence.source,
            model=self.name,
            frontend=frontend,
            notes=tuple(said),
            focal_length=focal_length,
        )

    def _lift_clips(
        self, clips: Sequence[Clip], image_size: tuple[int, int]
    ) -> list[NDArray[np.float32]]:
        inputs = (clip.network_input for clip in clips)
        if self.lifter.is_causal:
            return [self.lifter.lift_on(one, image_size) for one in inputs]
        total = sum(len(self.windows.starts(len(clip))) for clip in clips)
        with _bar(total, self._shows_bars) as advance:

            def lift(batch: NDArray) -> NDArray:
                joints = self.lifter(batch, image_size)
                advance(len(batch))
                return joints

            return lift_clips(lift, inputs, self.windows, self.batch_size)

    def stream(
        self, source: Any, latency: int | None = None, *, fps: float | None = None
    ) -> Iterator[LiftedFrame]:
        """Lifts people as frames come; memory does not grow with their number.

        Args:
            source: As for a call; a camera (``0``, ``'webcam:0'``) or the address of
                a stream too.
            latency: How many frames results are behind, at least 0 and less than a
                window: every frame is then lifted with so many frames of its
                future, at the cost of one window for each person in each frame.
                None: in windows that are cross-faded, as a call does it, at two
                windows for each ``window`` frames; up to two windows less their
                overlap, and ``max_gap`` frames, late. A causal model makes nothing of
                the future and is never late: None or 0. It goes on by one step for
                each person and frame, as
                :class:`~mmssm.apis.streaming.StreamingLifter` does.
            fps: As for a call.

        Yields:
            All frames in their order.

        Raises:
            ValueError: ``latency`` is out of its range, or as for a call.
        """
        if latency and self.lifter.is_causal:
            raise ValueError(
                f'{self.name} never looks ahead and gives nothing for waiting: leave '
                f'out latency, got {latency}'
            )
        if latency is not None and not 0 <= latency < self.windows.length:
            raise ValueError(
                f'latency must be from 0 to {self.windows.length - 1} frames (less '
                f'than a window), got {latency}'
            )
        if isinstance(source, KeypointSequence) or is_keypoint_file(source):
            sequence = _as_h36m(self.find_keypoints(source)[0])
            frames = _detections(sequence)
            yield from self._stream(frames, sequence.image_size, latency)
            return
        with open_frames(source, fps=fps) as video:
            self._say_choice()
            frames = _found(self.frontend, video)
            yield from self._stream(frames, video.image_size, latency)

    def _stream(
        self,
        frames: Iterator[tuple[int, list[Detection]]],
        image_size: tuple[int, int],
        latency: int | None,
    ) -> Iterator[LiftedFrame]:
        focal_length = self._focal_length(image_size)
        for number, people in self._lifted(frames, image_size, latency):
            persons = [self._placed(one, image_size, focal_length) for one in people]
            yield LiftedFrame(number, tuple(persons))

    def _lifted(
        self,
        frames: Iterator[tuple[int, list[Detection]]],
        image_size: tuple[int, int],
        latency: int | None,
    ) -> Iterator[tuple[int, list[LiftedPerson]]]:
        if self.lifter.is_causal:
            begin = partial(
                StreamingLifter,
                self.lifter,
                image_size,
                min_score=self.gaps.min_score,
                max_gap=self.gaps.max_gap,
            )
            return stream_steps(frames, begin)
        lift = partial(self.lifter, image_size=image_size)
        cut = (self.windows, self.gaps, h36m.PARENTS)
        if latency is None:
            return stream_blended(frames, lift, *cut)
        return stream_prompt(frames, lift, *cut, latency)

    def _placed(
        self,
        person: LiftedPerson,
        image_size: tuple[int, int],
        focal_length: float | None,
    ) -> PersonResult:
        return _person(
            person.track_id,
            person.clip,
            person.keypoints_3d,
            image_size,
            focal_length,
        )

    def _focal_length(self, image_size: tuple[int, int]) -> float | None:
        if not self.place_root:
            return None
        return self.focal_length or float(np.hypot(*image_size))

    def _assumptions(self, focal_length: float | None) -> list[str]:
        stature = self.lifter.stature
        said = [
            'scale: 4 mm for every pixel, as MMPose has it'
            if stature is None
            else f'scale: people are taken to be {stature:g} m tall'
        ]
        if focal_length is not None:
            given = 'given' if self.focal_length else "the image's diagonal, a guess"
            said.append(
                f'roots: placed by weak perspective with a focal length of '
                f'{focal_length:.0f} px ({given}) about the centre of the image'
            )
        return said

    @property
    def _shows_bars(self) -> bool:
        return self.show_progress and sys.stderr.isatty()

    @property
    def _frontend_name(self) -> str:
        chosen = self.frontend
        name = getattr(chosen, 'name', None) or getattr(chosen, '__name__', None)
        return str(name or type(chosen).__name__)

    def _say_choice(self) -> None:
        kind = (
            'frame by frame'
            if self.lifter.is_causal
            else f'windows of {self.windows.length} frames'
        )
        print_log(
            f'2D joints: {self._frontend_name}; lifter: {self.name}, {kind} on '
            f'{self.lifter.device}',
            'current',
        )


@contextmanager
def _bar(total: int | None, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, moved on by a function that takes how far."""
    if not shown:
        yield lambda _: None
        return
    bar = ProgressBar(total, file=sys.stderr)
    try:
        yield bar.update
    finally:
        print(file=sys.stderr)


class _WithBar:
    """Frames that draw a bar as they are read, and pass for those that they are."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frames, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The kind of frames, which front ends ask for."""
        return type(self._frames)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        with _bar(self._frames.num_frames, True) as advance:
            for frame in self._frames:
                yield frame
                advance(1)


def is_keypoint_file(source: Any) -> bool:
    """Whether a source is the path of 2D joints, not of frames."""
    return (
        isinstance(source, str | PathLike)
        and Path(source).suffix.lower() in ('.json', '.npz')
        and not Path(source).is_dir()
    )


def _as_h36m(sequence: KeypointSequence) -> KeypointSequence:
    try:
        return to_h36m(sequence)
    except ValueError as error:
        raise UserError(f'{sequence.source}: {error}') from error


def _person(
    track_id: int,
    clip: Clip,
    joints: NDArray[np.float32],
    image_size: tuple[int, int],
    focal_length: float | None,
) -> PersonResult:
    roots = None
    if focal_length is not None:
        roots = place_roots(
            joints,
            clip.keypoints,
            clip.network_input[..., 2],
            focal_length,
            (image_size[0] / 2, image_size[1] / 2),
        )
    return PersonResult(
        track_id=track_id,
        frames=clip.frames,
        keypoints=clip.keypoints,
        keypoint_scores=clip.scores,
        keypoints_3d=joints,
        root_position=roots,
        filled=clip.filled,
        filled_joints=clip.filled_joints,
    )


def _join(parts: list[PersonResult]) -> PersonResult:
    """One person of the pieces of a track."""
    if len(parts) == 1:
        return parts[0]

    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    return PersonResult(parts[0].track_id, *(joined(name) for name in PERSON_ARRAYS))


def _detections(sequence: KeypointSequence) -> Iterator[tuple[int, list[Detection]]]:
    """Who is seen in each frame of a sequence in Human3.6M's joints."""
    for number in range(sequence.num_frames):
        yield (
            number,
            _seen(
                (track.track_id, track.keypoints[row], track.scores[row])
                for track, row in sequence.people_in(number)
            ),
        )


def _found(frontend: Any, frames: Frames) -> Iterator[tuple[int, list[Detection]]]:
    """Who is seen in each frame of a video, in Human3.6M's joints."""
    if not hasattr(frontend, 'stream'):
        raise UserError(
            f'{frontend!r} cannot be used for streams: it has no method stream(frames) '
            'that gives the people of every frame as it comes; see '
            'mmssm.inputs.frontends.Pose2DFrontend'
        )
    for people in frontend.stream(frames):
        keypoints, scores = convert_to_h36m(
            people.keypoints, people.scores, frontend.joint_set
        )
        yield (
            people.frame,
            _seen(zip(people.track_ids.tolist(), keypoints, scores, strict=True)),
        )


def _seen(people: Any) -> list[Detection]:
    """Those of whom there is at least one joint."""
    return [
        (track_id, keypoints, scores)
        for track_id, keypoints, scores in people
        if (np.isfinite(keypoints).all(-1) & (scores > 0)).any()
    ]
