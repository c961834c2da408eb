"""2D joints by MMPose's own inferencer: any of its models, by alias or config."""

import contextlib
import difflib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.frontends.network import MissingPackage
from mmssm.inputs.people import People, bboxes_around
from mmssm.structures.joint_sets import JOINT_SETS, get_joint_set, joint_set_of
from mmssm.utils.errors import UserError

_PEOPLE = (0,)
"""Classes of a detector that are people: COCO's first, and the one of detectors that
know no other."""


class MMPosePeople:
    """Finds people with a model of MMPose and a detector of MMDetection.

    MMPose's inferencer takes the whole image for a person where its detector finds
    none; here, such a frame is without people.

    Args:
        model: Alias, config's name or config's path, as for ``Pose2DInferencer``.
        weights: Checkpoint; default: the alias's own, which MMPose downloads.
        det_model: Detector for top-down models: alias or config of MMDetection, whose
            first class is people, or ``'whole_image'`` for none; default: MMPose's own
            choice.
        det_weights: Checkpoint of ``det_model``; default: the alias's own.
        device: Such as ``'cpu'`` or ``'cuda:0'``.
        joint_set: Joint set of the model; default: the one whose names it has.

    Raises:
        MissingPackage: MMDetection is needed and not installed.
        UserError: The model or the detector is not known, the joints are not, or
            weights cannot be had.
    """

    def __init__(
        self,
        model: str,
        weights: str | None = None,
        det_model: str | None = None,
        det_weights: str | None = None,
        device: str | None = None,
        joint_set: str | None = None,
    ) -> None:
        self.name = f'MMPose {model}'
        self._inferencer = _build(model, weights, det_model, det_weights, device)
        self._detects = getattr(self._inferencer, 'detector', None) is not None
        info = self._inferencer.model.dataset_meta
        names = [info['keypoint_id2name'][i] for i in range(info['num_keypoints'])]
        self.joint_set = _named(joint_set, names, model)

    def start(self) -> None:
        """A new clip begins; nothing is kept."""

    def __call__(self, image: NDArray[np.uint8]) -> People:
        """Finds the people of an image.

        Args:
            image: ``(H, W, 3)`` BGR.
        """
        (result,) = list(self._inferencer([image]))
        height, width = image.shape[:2]
        whole = np.array([0, 0, width, height])
        kept = []
        for person in result['predictions'][0]:
            box = np.asarray(person.get('bbox', []), np.float32).reshape(-1)
            is_fallback = len(box) == 4 and (box == whole).all()
            if not (self._detects and is_fallback):
                kept.append((person['keypoints'], person['keypoint_scores'], box))
        if not kept:
            return People.nobody(get_joint_set(self.joint_set).num_joints)
        keypoints = np.array([one[0] for one in kept], np.float32)[..., :2]
        # SimCC's and heatmaps' scores may lie a little beyond [0, 1]
        scores = np.array([one[1] for one in kept], np.float32).clip(0, 1)
        # one-stage models may give a joint without a place
        lost = ~np.isfinite(keypoints).all(-1)
        keypoints[lost], scores[lost] = np.nan, 0
        bboxes = bboxes_around(keypoints, scores)
        for index, (_, _, box) in enumerate(kept):
            if len(box) == 4:
                bboxes[index] = box
        return People(keypoints, scores, bboxes)


def _named(joint_set: str | None, names: list[str], model: str) -> str:
    if joint_set is not None:
        wanted = get_joint_set(joint_set).num_joints
        if wanted != len(names):
            raise UserError(
                f'{model} finds {len(names)} joints, and {joint_set} has {wanted}'
            )
        return joint_set
    found = joint_set_of(names)
    if found is None:
        raise UserError(
            f'the {len(names)} joints of {model} ({", ".join(names[:5])}, ...) are of '
            f'none of the known sets, {", ".join(sorted(JOINT_SETS))}; if they are one '
            'of them under other names, pass joint_set'
        )
    return found


def _build(
    model: str,
    weights: str | None,
    det_model: str | None,
    det_weights: str | None,
    device: str | None,
) -> Any:
    if det_weights and not det_model:
        raise UserError(
            'det_weights are those of det_model: pass both, or none for the detector '
            "of MMPose's choice"
        )
    import mmssm.registry  # noqa: F401  cures the host before it is imported

    try:
        from mmpose.apis.inferencers import Pose2DInferencer
    except ImportError as error:
        raise MissingPackage(
            f'{model!r} is run by MMPose, which is not installed ({error}); run '
            'tools/setup_env.py'
        ) from error
    try:
        return Pose2DInferencer(
            model=model,
            weights=weights,
            device=device,
            det_model=det_model,
            det_weights=det_weights,
            # MMPose keeps no box of a detector that is named if no class is
            det_cat_ids=_PEOPLE,
        )
    except RuntimeError as error:
        if 'MMDetection' not in str(error):
            raise
        raise MissingPackage(
            f'{model!r} looks for people with a detector of MMDetection, which is not '
            "installed: install the full stack (docs/get_started.md), take 'mediapipe' "
            "or a keypoint file, or pass det_model='whole_image' if a person fills "
            'the pictures'
        ) from error
    except ValueError as error:
        if 'Cannot find model' not in str(error):
            raise
        if det_model and f'Cannot find model: {det_model}' in str(error):
            raise UserError(
                f'there is no detector {det_model!r}; expected an alias or config of '
                "MMDetection's, or 'whole_image'"
            ) from error
        raise UserError(_unknown(model)) from error
    except OSError as error:  # no file, no network
        raise UserError(
            f'the weights of {model!r} or of its detector cannot be read or fetched '
            f'({type(error).__name__}: {error}); pass files that are there as weights, '
            'and as det_weights with det_model'
        ) from error


def _unknown(model: str) -> str:
    names: list[str] = []
    with contextlib.suppress(ImportError, OSError):
        from mmpose.apis.inferencers.utils import get_model_aliases

        names = sorted(get_model_aliases('mmpose'))
    close = difflib.get_close_matches(model, [*names, 'mediapipe'], n=3)
    hint = f'; did you mean {", ".join(map(repr, close))}?' if close else '.'
    return (
        f"there is no 2D front end {model!r}{hint} Expected 'mediapipe', a keypoint "
        f"file (.json, .npz), or an alias or config of MMPose's: {', '.join(names)}"
    )
