import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.walking import IMAGE_SIZE, from_behind, in_joint_set, walk

from mmssm.inputs import KeypointFileError, open_frames, pose2d, write_keypoints
from mmssm.inputs.frontends import MMPosePeople, Pose2DFrontend, frontend, mmpose_models
from mmssm.inputs.frontends.network import MissingPackage
from mmssm.structures.joint_sets import get_joint_set
from mmssm.structures.tracks import KeypointSequence, KeypointTrack
from mmssm.utils.errors import UserError

COUNT = 4


@pytest.fixture(scope='module')
def sequence() -> KeypointSequence:
    keypoints, scores = in_joint_set(from_behind(walk(COUNT)), 'coco')
    tracks = [
        KeypointTrack(2, np.arange(COUNT), keypoints, scores),
        KeypointTrack(5, np.arange(1, 3), keypoints[1:3] + 90, scores[1:3]),
    ]
    return KeypointSequence(tracks, 'coco', IMAGE_SIZE, 25.0, COUNT, 'walk')


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """What the front end says of its choice."""
    messages: list[str] = []
    monkeypatch.setattr(frontend, 'print_log', lambda text, *_: messages.append(text))
    return messages


def clip(count: int = COUNT):
    width, height = IMAGE_SIZE
    return open_frames([np.zeros((height, width, 3), np.uint8)] * count, fps=30)


def test_a_keypoint_file_is_a_front_end(tmp_path, sequence, said):
    write_keypoints(tmp_path / 'walk.json', sequence)
    chosen = pose2d(tmp_path / 'walk.json')
    assert said == ['2D joints: keypoint file walk.json']
    found = chosen(clip())
    assert [track.track_id for track in found.tracks] == [2, 5]
    assert found.fps == 30
    stream = list(chosen.stream(clip()))
    assert [one.track_ids.tolist() for one in stream] == [[2], [2, 5], [2, 5], [2]]
    np.testing.assert_allclose(
        stream[1].keypoints[1], sequence.tracks[1].keypoints[0], atol=1e-3
    )
    assert stream[1].bboxes.shape == (2, 4)
    with pytest.raises(KeypointFileError, match='they do not belong together'):
        chosen(clip(2))


def test_arguments_that_do_not_go_with_the_choice_are_named(tmp_path):
    for name, argument in (
        ('mediapipe', {'weights': 'a.pth'}),
        ('mediapipe', {'device': 'cpu', 'joint_set': 'coco'}),
        (tmp_path / 'a.json', {'models': 'folder'}),
        ('human', {'models': 'folder'}),
    ):
        with pytest.raises(
            UserError, match=f'{", ".join(argument)} cannot be given for'
        ):
            pose2d(name, **argument)


def test_mediapipe_is_chosen_with_its_folder(monkeypatch, said):
    calls = []

    def load(folder, max_people):
        calls.append((folder, max_people))
        return SimpleNamespace(name='MediaPipe', joint_set='mediapipe_pose')

    monkeypatch.setattr(frontend.MediapipePose, 'load', load)
    chosen = pose2d(models='here', max_people=2, max_gap=3)
    assert calls == [('here', 2)]
    assert isinstance(chosen, Pose2DFrontend)
    assert (chosen.name, chosen.joint_set) == ('MediaPipe', 'mediapipe_pose')
    assert chosen.max_gap == 3
    assert said == ['2D joints: MediaPipe']


class Inferencer:
    """What MMPose's ``Pose2DInferencer`` gives for a picture."""

    joint_set = 'coco'

    def __init__(self, **arguments):
        self.arguments = arguments
        names = get_joint_set(self.joint_set).joint_names
        meta = {'keypoint_id2name': dict(enumerate(names)), 'num_keypoints': len(names)}
        self.model = SimpleNamespace(dataset_meta=meta)
        named = arguments.get('det_model')
        self.detector = None if named == 'whole_image' else 'the one of MMPose'
        self.people: list[list[float]] = [[10, 20, 60, 90], [100, 20, 160, 90]]

    def __call__(self, images):
        instances = [
            {
                'keypoints': [[box[0], box[1]]] * 16 + [[float('nan'), 1.0]],
                'keypoint_scores': [1.04] + [0.5] * 16,
                'bbox': (box,),
                'bbox_score': 0.9,
            }
            for box in self.people
        ]
        yield {'predictions': [instances]}


@pytest.fixture
def inferencer(monkeypatch):
    import mmpose.apis.inferencers

    monkeypatch.setattr(mmpose.apis.inferencers, 'Pose2DInferencer', Inferencer)
    return Inferencer


def test_mmposes_models_by_alias(inferencer):
    chosen = pose2d('human', device='cpu', det_model='rtmdet')
    found = chosen(clip())
    assert found.joint_set == 'coco'
    assert [len(track) for track in found.tracks] == [COUNT, COUNT]
    track = found.tracks[0]
    assert track.bboxes[0].tolist() == [10, 20, 60, 90]
    assert track.scores[0, :2].tolist() == [1, 0.5]
    assert track.scores[0, 16] == 0
    assert np.isnan(track.keypoints[0, 16]).all()
    assert chosen.estimator._inferencer.arguments == {
        'model': 'human',
        'weights': None,
        'device': 'cpu',
        'det_model': 'rtmdet',
        'det_weights': None,
        'det_cat_ids': (0,),
    }


def test_the_whole_picture_is_nobody_unless_it_is_asked_for(inferencer):
    """MMPose takes it for a person where the detector finds none."""
    width, height = IMAGE_SIZE
    image = np.zeros((height, width, 3), np.uint8)
    for det_model, count in ((None, 0), ('whole_image', 1)):
        model = MMPosePeople('human', det_model=det_model)
        model._inferencer.people = [[0, 0, width, height]]
        found = model(image)
        assert (len(found), found.keypoints.shape[1:]) == (count, (17, 2))


def test_unknown_joints_are_named(inferencer, monkeypatch):
    monkeypatch.setattr(inferencer, 'joint_set', 'op21')
    assert MMPosePeople('hand').joint_set == 'op21'
    with pytest.raises(UserError, match='hand finds 21 joints, and coco has 17'):
        MMPosePeople('hand', joint_set='coco')
    monkeypatch.setattr(mmpose_models, 'joint_set_of', lambda names: None)
    with pytest.raises(UserError, match=r'21 joints of animal \(wrist, .*are of none'):
        MMPosePeople('animal')
    assert MMPosePeople('animal', joint_set='op21').joint_set == 'op21'


@pytest.mark.parametrize(
    ('error', 'kind', 'message'),
    [
        (
            RuntimeError('MMDetection (v3.0.0 or above) is'),
            MissingPackage,
            'full stack',
        ),
        (
            ConnectionError('no route'),
            UserError,
            r'weights of .body. or of its detector',
        ),
        (
            ValueError('Cannot find model: yolo in mmdet'),
            UserError,
            'no detector .yolo.; expected',
        ),
        (RuntimeError('CUDA'), RuntimeError, 'CUDA'),
        (ValueError('other'), ValueError, 'other'),
    ],
)
def test_what_mmpose_says_is_explained(inferencer, monkeypatch, error, kind, message):
    def refuse(self, **_):
        raise error

    monkeypatch.setattr(inferencer, '__init__', refuse)
    with pytest.raises(kind, match=message):
        pose2d('body', det_model='yolo')


def test_weights_of_no_detector_are_refused():
    with pytest.raises(UserError, match='det_weights are those of det_model'):
        pose2d('body', det_weights='a.pth')


def test_an_unknown_name_is_answered_with_near_ones(inferencer, monkeypatch):
    import mmpose.apis.inferencers.utils as utils

    def refuse(self, model, **_):
        raise ValueError(f'Cannot find model: {model} in mmpose')

    monkeypatch.setattr(inferencer, '__init__', refuse)
    aliases = {'body26': 'a', 'human': 'b'}
    monkeypatch.setattr(utils, 'get_model_aliases', lambda scope: aliases)
    with pytest.raises(
        UserError, match=r"'bodi26'; did you mean 'body26'\? Expected '"
    ):
        pose2d('bodi26')
    with pytest.raises(UserError, match=r"front end 'zzz'\. Expected 'mediapipe'"):
        pose2d('zzz')


def test_without_mmpose_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmpose.apis.inferencers', None)
    with pytest.raises(MissingPackage, match="'human' is run by MMPose, which is not"):
        pose2d('human')


TINY = """
_base_ = (
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res50_8xb64-210e_coco-256x192.py'
)
model = dict(
    backbone=dict(depth=18, base_channels=4, stem_channels=4, init_cfg=None),
    head=dict(in_channels=32, deconv_out_channels=(8, 8, 8)),
)
"""


@pytest.mark.filterwarnings('ignore')
def test_a_model_of_mmposes_runs_without_a_detector(tmp_path):
    (tmp_path / 'tiny.py').write_text(TINY)
    chosen = pose2d(tmp_path / 'tiny.py', det_model='whole_image', device='cpu')
    found = chosen(clip(2))
    assert (found.joint_set, found.num_frames) == ('coco', 2)
    (track,) = found.tracks
    assert track.keypoints.shape == (2, 17, 2)
    assert track.bboxes.tolist() == [[0, 0, *IMAGE_SIZE]] * 2
