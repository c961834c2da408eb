"""Hand meshes in images, folders of images and videos, from boxes of hands.

    python demo/hand_mesh_demo.py IMAGE --bbox 40 60 180 200 --out DIR
    python demo/hand_mesh_demo.py FOLDER VIDEO.mp4 --hand left --bbox 40 60 180 200
    python demo/hand_mesh_demo.py IMAGE --det-config CONFIG --det-checkpoint FILE

``--bbox`` takes left, top, right and bottom in pixels for each hand, the same in all
images; no detector is needed then. Without it, a detector of MMDetection finds the
hands.

For each image these appear in DIR, one image after the other, each file whole or not
at all: NAME_overlay.png, the meshes over the image; NAME_views.png, each hand from the
side and from above; NAME_hand0.obj and on, metres in the camera's frame (x right, y
down, z forward); and last NAME.json with all numbers.

Without ``--config`` and ``--checkpoint`` the small network that ships is used. It was
trained on generated pictures of the free hand for minutes: it shows how things
work, not how well.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS, VISUALIZERS
from mmpose.structures import PoseDataSample, merge_data_samples
from torch import nn

import mmssm
import mmssm.registry  # cures the host before it is used
from mmssm.apis import load_checkpoint
from mmssm.datasets import LoadCheckedImage
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.engine import preflight
from mmssm.engine.cli import messages_for_users
from mmssm.geometry.mesh_files import save_mesh
from mmssm.geometry.rasterizer import outward_faces
from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import write_atomically

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = (
    'configs/hand_mesh/hamba/synthhand/hamba-small_res18_1xb16_synthhand-128x128.py'
)
WEIGHTS = Path(mmssm.__file__).parent / 'weights/hamba-small-synthhand.safetensors'
IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
SIDES = ('right', 'left')
LONGEST_NAME = 120
"""Characters; what is added to them must fit into a file system's 255 bytes."""

Detector = Callable[[np.ndarray], np.ndarray]
"""From a BGR image to boxes ``(N, 4)``, pixels."""


class Picture(NamedTuple):
    """An image to look at.

    Attributes:
        name: What its files are called.
        source: Where it is from, for messages.
        image: ``(H, W, 3)`` BGR, or why there is none.
    """

    name: str
    source: str
    image: np.ndarray | str


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'inputs', nargs='+', type=Path, help='images, folders of images, videos'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/hand_mesh_demo'),
        help='folder for all files (default: work_dirs/hand_mesh_demo)',
    )
    parser.add_argument(
        '--bbox',
        nargs='+',
        type=float,
        metavar='PIXELS',
        help='left, top, right, bottom of a hand; four more for each further hand',
    )
    parser.add_argument(
        '--hand',
        nargs='+',
        choices=SIDES,
        default=['right'],
        help='which hand it is: one answer for all boxes, or one for each '
        '(default: right)',
    )
    parser.add_argument('--config', help='config of the network')
    parser.add_argument('--checkpoint', help='its weights: .pth or .safetensors')
    parser.add_argument('--det-config', help='config of a detector (MMDetection)')
    parser.add_argument('--det-checkpoint', help='its weights')
    parser.add_argument(
        '--det-category', type=int, default=0, help="the hands' class (default: 0)"
    )
    parser.add_argument(
        '--det-score', type=float, default=0.5, help='least score (default: 0.5)'
    )
    parser.add_argument(
        '--focal-length',
        type=float,
        help='pixels (default: far away, see HandMeshEstimator)',
    )
    parser.add_argument('--device', default='cpu', help='such as cuda:0')
    args = parser.parse_args(argv)
    if (args.config is None) != (args.checkpoint is None):
        parser.error('--config and --checkpoint belong together')
    if args.bbox is not None and len(args.bbox) % 4:
        parser.error(f'--bbox takes four numbers for a hand, got {len(args.bbox)}')
    hands = len(args.hand)
    if args.bbox is not None and hands not in (1, len(args.bbox) // 4):
        parser.error(f'{hands} answers of --hand for {len(args.bbox) // 4} boxes')
    if args.bbox is None and hands != 1:
        parser.error('without --bbox, --hand has one answer for all hands')
    return args


def make_detector(args: argparse.Namespace) -> Detector:
    """What says where the hands are: the boxes given, or a detector.

    Raises:
        UserError: There are no boxes, and no detector either.
    """
    if args.bbox is not None:
        boxes = np.reshape(args.bbox, (-1, 4))
        return lambda image: boxes
    remedy = (
        'give the boxes of the hands (--bbox x0 y0 x1 y1 ...), or install MMDetection '
        '(make full; run this script by .venv-full/bin/python) and name a detector of '
        'hands by --det-config and --det-checkpoint'
    )
    try:
        from mmdet.apis import inference_detector, init_detector
    except ImportError as error:
        raise UserError(
            f'without --bbox a detector has to find the hands, and mmdet cannot be '
            f'imported ({error}): {remedy}'
        ) from error
    if args.det_config is None or args.det_checkpoint is None:
        raise UserError(f'there are neither boxes nor a detector: {remedy}')
    network = init_detector(args.det_config, args.det_checkpoint, device=args.device)

    def detect(image: np.ndarray) -> np.ndarray:
        found = inference_detector(network, image).pred_instances.cpu().numpy()
        good = (found.labels == args.det_category) & (found.scores > args.det_score)
        return found.bboxes[good]

    return detect


class MeshNetwork:
    """A network with what comes before it.

    Args:
        config: Its config; the validation pipeline says how crops are made.
        checkpoint: Its weights.
        device: Where it runs.
        focal_length: Of the images, pixels, or None for the config's.

    Raises:
        UserError: The weights are missing or do not fit.
    """

    def __init__(
        self,
        config: Config,
        checkpoint: Path,
        device: str,
        focal_length: float | None = None,
    ) -> None:
        self.model = MODELS.build(config.model).to(device).eval()
        load_weights(self.model, checkpoint)
        if focal_length is not None:
            self.model.focal_length = focal_length
        self.meta = parse_pose_metainfo(hand_metainfo('hand'))
        steps = config.val_dataloader.dataset.pipeline
        left_out = ('LoadImage', 'mmssm.LoadCheckedImage', 'GenerateTarget')
        self.pipeline = Compose([s for s in steps if s['type'] not in left_out])
        visualizer = dict(type='mmssm.HandMeshVisualizer', name='hands')
        self.visualizer = VISUALIZERS.build(visualizer)
        self.visualizer.set_dataset_meta(self.meta)
        self.visualizer.set_faces(self.model.head.mano.faces)

    def predict(
        self, image: np.ndarray, boxes: np.ndarray, sides: Sequence[str], source: str
    ) -> PoseDataSample | None:
        """Predicts the hands of an image.

        Args:
            image: ``(H, W, 3)`` BGR.
            boxes: ``(N, 4)`` pixels.
            sides: Which hand is in each box.
            source: Names the image in errors.

        Returns:
            One sample with all hands, or None without boxes.

        Raises:
            ValueError: A box is NaN, has no size or is outside the image.
        """
        batch = [
            self.pipeline(self._sample(image, box, side, source))
            for box, side in zip(boxes, sides, strict=True)
        ]
        if not batch:
            return None
        with torch.no_grad():
            return merge_data_samples(self.model.test_step(pseudo_collate(batch)))

    def _sample(
        self, image: np.ndarray, box: np.ndarray, side: str, source: str
    ) -> dict:
        right = side == 'right'
        return dict(
            self.meta,
            img=image,
            img_path=source,
            img_shape=image.shape[:2],
            ori_shape=image.shape[:2],
            bbox=np.asarray(box, np.float32)[None],
            bbox_score=np.ones(1, np.float32),
            hand_type=np.array([[right, not right]], np.float32),
        )

    def draw(
        self, image: np.ndarray, sample: PoseDataSample
    ) -> tuple[np.ndarray, np.ndarray]:
        """Meshes over an image, and from other sides; BGR, small images enlarged."""
        picture = self.visualizer.add_datasample(
            'hands', image[..., ::-1].copy(), sample, draw_gt=False, draw_bbox=True
        )[..., ::-1]
        width = picture.shape[0] // image.shape[0] * image.shape[1]
        return picture[:, :width], picture[:, width:]


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Loads weights, which must fit key by key; nothing of the file is run.

    Raises:
        UserError: The file is not there, damaged or of another network.
    """
    if checkpoint.suffix == '.safetensors':
        try:
            weights = {'state_dict': load_checkpoint(checkpoint)[0]}
        except (FileNotFoundError, ValueError) as error:
            raise UserError(str(error)) from error
    else:
        weights = preflight.read_checkpoint(checkpoint)
    preflight.check_weights(model, weights, checkpoint)


def pictures(inputs: Sequence[Path]) -> Iterator[Picture]:
    """The images of all inputs, one at a time.

    Raises:
        UserError: An input is neither an image, nor a folder of some, nor a video.
    """
    names: set[str] = set()
    for path in inputs:
        if path.is_dir():
            files = sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGES)
            if not files:
                raise UserError(f'there is no image in the folder {path}')
        elif not path.exists():
            raise UserError(f'there is no file {path}')
        else:
            files = [path]
        for file in files:
            if file.suffix.lower() in VIDEOS:
                yield from frames(file, names)
            else:
                name = safe_name(file.name, str(file.resolve()), names)
                yield Picture(name, str(file), read_image(file))


def read_image(path: Path) -> np.ndarray | str:
    """A BGR image, or why it cannot be read; grey and alpha images become BGR."""
    try:
        return LoadCheckedImage().transform({'img_path': str(path)})['img']
    except ValueError as error:
        return str(error)


def frames(path: Path, names: set[str]) -> Iterator[Picture]:
    """The frames of a video.

    Raises:
        UserError: It cannot be read.
    """
    video = cv2.VideoCapture(str(path))
    name = safe_name(path.name, str(path.resolve()), names)
    number = 0
    try:
        while True:
            there, image = video.read()
            if not there:
                break
            yield Picture(f'{name}_{number:06d}', f'{path}, frame {number}', image)
            number += 1
    finally:
        video.release()
    if not number:
        raise UserError(f'{path} is no video that OpenCV can read')


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


def describe(source: str, image: np.ndarray, hands: InstanceData | None) -> dict:
    """What the JSON file of an image says."""
    found = []
    for number in range(0 if hands is None else len(hands)):
        hand = {
            key: np.asarray(hands[key][number], np.float64).round(7).tolist()
            for key in (
                'keypoints',
                'keypoints_3d',
                'full_cam_t',
                'focal_length',
                'principal_pt',
                'mano_global_orient',
                'mano_hand_pose',
                'mano_betas',
            )
        }
        hand['bbox'] = np.asarray(hands.bboxes[number], np.float64).tolist()
        hand['hand'] = SIDES[int(np.argmax(hands.hand_type[number]))]
        found.append(hand)
    return dict(
        image=source,
        size=[image.shape[1], image.shape[0]],
        units='keypoints, bbox, focal_length and principal_pt in pixels of the image; '
        'keypoints_3d in metres from the hand model, add full_cam_t to have them '
        "in the camera's frame (x right, y down, z forward), where the .obj files are; "
        'rotations as matrices, of the mirror image for a left hand',
        hands=found,
    )


def write(
    out: Path, picture: Picture, network: MeshNetwork, sample: PoseDataSample | None
) -> None:
    """Writes the files of one image, the JSON last."""
    image = picture.image
    hands = None if sample is None else sample.pred_instances
    overlay, views = image, None
    if sample is not None:
        overlay, views = network.draw(image, sample)
        faces = network.model.head.mano.faces.cpu().numpy()
        for number in range(len(hands)):
            vertices = hands.mesh_vertices[number] + hands.full_cam_t[number]
            write_mesh(out / f'{picture.name}_hand{number}.obj', vertices, faces)
    write_image(out / f'{picture.name}_overlay.png', overlay)
    if views is not None and views.size:
        write_image(out / f'{picture.name}_views.png', views)
    text = json.dumps(describe(picture.source, image, hands), indent=1)
    write_atomically(out / f'{picture.name}.json', f'{text}\n'.encode())


def write_mesh(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Writes a mesh whose faces look outwards, also of a left hand."""
    partial = path.with_name(f'.{path.stem}.partial.obj')
    save_mesh(partial, vertices, outward_faces(vertices, faces))
    partial.replace(path)


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes a BGR image."""
    write_atomically(path, cv2.imencode(path.suffix, image)[1].tobytes())


def main(argv: list[str] | None = None) -> int:
    """Runs the demo.

    Returns:
        0, or 1 if an image could not be used.
    """
    args = parse_args(argv)
    with messages_for_users():
        detect = make_detector(args)
        config = preflight.read_config(args.config or str(REPOSITORY / CONFIG))
    scope = DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpose'))
    with messages_for_users(config), scope:
        network = MeshNetwork(
            config, Path(args.checkpoint or WEIGHTS), args.device, args.focal_length
        )
        args.out.mkdir(parents=True, exist_ok=True)
        done, failed = look_at_all(args, detect, network)
    print(f'{done} images in {args.out}, {failed} could not be used')
    return int(failed > 0)


def look_at_all(
    args: argparse.Namespace, detect: Detector, network: MeshNetwork
) -> tuple[int, int]:
    """Writes the files of all images; returns how many, and how many failed."""
    done = failed = 0
    for picture in pictures(args.inputs):
        try:
            if isinstance(picture.image, str):
                raise ValueError(picture.image)
            boxes = detect(picture.image)
            sides = args.hand if len(args.hand) > 1 else args.hand * len(boxes)
            sample = network.predict(picture.image, boxes, sides, picture.source)
        except ValueError as error:
            print(f'{picture.source}: {error}', file=sys.stderr, flush=True)
            failed += 1
            continue
        write(args.out, picture, network, sample)
        done += 1
        print(f'{picture.source}: {len(boxes)} hands', flush=True)
    return done, failed


if __name__ == '__main__':
    sys.exit(main())
