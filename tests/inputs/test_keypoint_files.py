import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.walking import EXACT, IMAGE_SIZE, from_behind, in_joint_set, walk

from mmssm.inputs import (
    KeypointFileError,
    open_frames,
    read_keypoints,
    write_keypoints,
)
from mmssm.structures.h36m_joints import to_h36m
from mmssm.structures.joint_sets import get_joint_set
from mmssm.structures.tracks import KeypointSequence, KeypointTrack

COUNT = 6


@pytest.fixture(scope='module')
def pixels() -> np.ndarray:
    return from_behind(walk(COUNT))


def clip(joint_set: str, people: int = 2, start: int = 0) -> KeypointSequence:
    """Walkers side by side; the second one comes a frame later."""
    keypoints, scores = in_joint_set(from_behind(walk(COUNT)), joint_set)
    tracks = []
    for person in range(people):
        first = start + person
        moved = keypoints[first:] + np.float32([150 * person, 0])
        boxes = np.tile(np.float32([1, 2, 30, 50]), (len(moved), 1)) + person
        frames = np.arange(first, COUNT)
        tracks.append(KeypointTrack(3 + person, frames, moved, scores[first:], boxes))
    return KeypointSequence(tracks, joint_set, IMAGE_SIZE, 50.0, COUNT, 'walk')


def write_json(path: Path, data) -> Path:
    path.write_text(json.dumps(data))
    return path


def flat(joints: np.ndarray, scores: np.ndarray) -> list[float]:
    triples = np.concatenate([np.nan_to_num(joints), scores[:, None]], -1)
    return triples.reshape(-1).tolist()


def assert_same(found: KeypointSequence, wanted: KeypointSequence) -> None:
    assert found.joint_set == wanted.joint_set
    assert (found.num_frames, found.image_size) == (COUNT, IMAGE_SIZE)
    assert [track.track_id for track in found.tracks] == [
        track.track_id for track in wanted.tracks
    ]
    for one, other in zip(found.tracks, wanted.tracks, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


@pytest.mark.parametrize('format', ['mmpose', 'coco', 'alphapose'])
@pytest.mark.parametrize('joint_set', ['coco', 'halpe26', 'coco_wholebody'])
def test_what_is_written_can_be_read(tmp_path, format, joint_set):
    sequence, path = clip(joint_set), tmp_path / 'out.json'
    write_keypoints(path, sequence, format)
    found = read_keypoints(path, image_size=IMAGE_SIZE, fps=50)
    assert_same(found, sequence)
    for one, other in zip(found.tracks, sequence.tracks, strict=True):
        np.testing.assert_allclose(one.bboxes, other.bboxes, atol=1e-3)


def test_mmpose_files_keep_everything(tmp_path):
    sequence = clip('h36m')
    write_keypoints(tmp_path / 'out.json', sequence)
    found = read_keypoints(tmp_path / 'out.json')
    assert_same(found, sequence)
    assert found.fps == 50.0
    assert found.source == 'out.json'


def test_arrays_of_human36m_keep_people_and_gaps(tmp_path):
    sequence = clip('coco', start=1)
    write_keypoints(tmp_path / 'out.npz', sequence)
    assert_same(read_keypoints(tmp_path / 'out.npz'), to_h36m(sequence))


FORMATS = ['inferencer', 'demo', 'coco', 'alphapose']


@pytest.mark.parametrize(
    ('format', 'joint_set'),
    [
        *itertools.product(FORMATS, ['coco', 'halpe26', 'coco_wholebody', 'h36m']),
        ('alphapose open', 'coco'),
        ('alphapose cmu', 'coco'),
        ('wholebody parts', 'coco_wholebody'),
    ],
)
def test_sides_survive_files_of_others(tmp_path, pixels, format, joint_set):
    """Files written here by hand, read, and brought to Human3.6M's joints."""
    keypoints, scores = in_joint_set(pixels, joint_set)
    path = tmp_path / 'clip.json'
    write_json(path, by_hand(format, keypoints, scores))
    found = to_h36m(
        read_keypoints(path, joint_set=joint_set, image_size=IMAGE_SIZE, fps=25)
    )
    (track,) = found.tracks
    np.testing.assert_array_equal(track.frames, np.arange(COUNT))
    np.testing.assert_allclose(track.keypoints[:, EXACT], pixels[:, EXACT], atol=1e-3)
    across = track.keypoints[:, [1, 14], 0] - track.keypoints[:, [4, 11], 0]
    assert (across > 2).all()  # from behind, right is at the right


def by_hand(format: str, keypoints: np.ndarray, scores: np.ndarray):
    if format in ('inferencer', 'demo'):
        start = 1 if format == 'demo' else 0
        frames = [
            {
                'frame_id': start + frame,
                'instances': [
                    {
                        'keypoints': np.nan_to_num(joints).tolist(),
                        'keypoint_scores': scores[frame].tolist(),
                        'bbox': [[1.0, 2.0, 30.0, 40.0]],
                        'bbox_score': 0.9,
                    }
                ],
            }
            for frame, joints in enumerate(keypoints)
        ]
        return frames if start == 0 else {'meta_info': {}, 'instance_info': frames}
    if format in ('alphapose open', 'alphapose cmu'):
        return as_openpose(format, keypoints, scores)
    people = []
    for frame, joints in enumerate(keypoints):
        person = {
            'category_id': 1,
            'score': 2.9,
            'keypoints': flat(joints, scores[frame]),
        }
        if format == 'alphapose':
            # AlphaPose without tracking: everybody has the same number, once for
            # every box that became this person
            numbers = [0.0, 0.0] if frame == 3 else [[0.0]]
            person |= {'image_id': f'{frame}.jpg', 'box': [1, 2, 29, 38]}
            person['idx'] = numbers
        else:
            person |= {'image_id': 7 + frame, 'bbox': [1.0, 2.0, 29.0, 38.0]}
        if format == 'wholebody parts':
            person |= in_parts(person['keypoints'])
        people.append(person)
    return people


OPENPOSE_OF_COCO = [0, 5, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
"""Nose, neck (anything), arms and legs, right before left, eyes and ears likewise."""


def as_openpose(format: str, keypoints: np.ndarray, scores: np.ndarray) -> dict:
    group, name = {
        'alphapose open': ('people', 'pose_keypoints_2d'),
        'alphapose cmu': ('bodies', 'joints'),
    }[format]
    images = {}
    for frame, joints in enumerate(keypoints):
        joints, rated = joints[OPENPOSE_OF_COCO], scores[frame, OPENPOSE_OF_COCO]
        person = {name: flat(joints, rated)}
        images[f'{frame}.jpg'] = {'version': 'AlphaPose v0.3', group: [person]}
    return images


def in_parts(values: list[float]) -> dict[str, list[float]]:
    """The 133 joints in the lists of COCO-WholeBody."""
    names = ('keypoints', 'foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts')
    stops = 3 * np.cumsum([17, 6, 68, 21, 21])
    return {
        name: part.tolist()
        for name, part in zip(names, np.split(np.array(values), stops), strict=False)
    }


def test_the_joint_set_is_what_the_names_say(tmp_path):
    """17 joints are COCO's unless the file says otherwise."""
    write_keypoints(tmp_path / 'out.json', clip('mpi_inf_3dhp'))
    assert read_keypoints(tmp_path / 'out.json').joint_set == 'mpi_inf_3dhp'
    data = json.loads((tmp_path / 'out.json').read_text())
    del data['meta_info']['keypoint_id2name']
    write_json(tmp_path / 'out.json', data)
    assert read_keypoints(tmp_path / 'out.json').joint_set == 'coco'
    assert read_keypoints(tmp_path / 'out.json', joint_set='h36m').joint_set == 'h36m'


def test_names_that_no_set_has_are_no_cocos(tmp_path):
    """PoseTrack's 17 joints have the top of the head in place of the left eye."""
    write_keypoints(tmp_path / 'out.json', clip('coco'))
    data = json.loads((tmp_path / 'out.json').read_text())
    data['meta_info']['keypoint_id2name'] |= {'1': 'head_bottom', '2': 'head_top'}
    path = write_json(tmp_path / 'out.json', data)
    with pytest.raises(
        KeypointFileError, match=r'its 17 joints \(nose, head_bottom, .*no known set'
    ):
        read_keypoints(path)
    assert read_keypoints(path, joint_set='coco').joint_set == 'coco'


def test_of_halpes_136_joints_the_first_26_are_taken(tmp_path, pixels):
    keypoints, scores = in_joint_set(pixels, 'halpe26')
    more = np.ones((COUNT, 110, 2)), np.ones((COUNT, 110))
    full = [
        np.concatenate(pair, 1) for pair in zip((keypoints, scores), more, strict=True)
    ]
    path = write_json(tmp_path / 'full.json', by_hand('alphapose', *full))
    for format in ('auto', 'alphapose', 'halpe26'):
        found = read_keypoints(path, format, image_size=IMAGE_SIZE)
        assert found.joint_set == 'halpe26'
        np.testing.assert_allclose(found.tracks[0].keypoints, keypoints, atol=1e-3)


def test_people_without_numbers_are_followed(tmp_path):
    sequence = clip('coco')
    write_keypoints(tmp_path / 'out.json', sequence, 'alphapose')
    data = json.loads((tmp_path / 'out.json').read_text())
    for numbers in (None, 0):
        for person in data:
            person.pop('idx', None)
            if numbers is not None:
                person['idx'] = numbers
        path = write_json(tmp_path / 'without.json', data)
        found = read_keypoints(path, 'alphapose', image_size=IMAGE_SIZE)
        assert [len(track) for track in found.tracks] == [COUNT, COUNT - 1]
        for one, other in zip(found.tracks, sequence.tracks, strict=True):
            np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)


def test_image_ids_count_frames(tmp_path):
    write_keypoints(tmp_path / 'out.json', clip('coco', 1, start=2), 'coco')

    def first_frame(**arguments) -> int:
        arguments = {'image_size': IMAGE_SIZE, **arguments}
        found = read_keypoints(tmp_path / 'out.json', **arguments)
        return int(found.tracks[0].frames[0])

    assert first_frame() == 0  # image 2 is the first one that is known
    assert first_frame(first_image=0) == 2
    assert first_frame(first_image=1) == 1
    assert first_frame(images=range(1, 9)) == 1
    with pytest.raises(KeypointFileError, match='is of image 2, and first_image is 3'):
        first_frame(first_image=3)
    with pytest.raises(
        KeypointFileError, match='is of image 2, which is none of the 2'
    ):
        first_frame(images=['0', '1'])


def test_images_of_a_folder_are_found_by_name(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('walk_8.png', 'walk_9.png', 'walk_10.png'):
        cv2.imwrite(str(folder / name), np.zeros((40, 60, 3), np.uint8))
    people = [
        {'image_id': name, 'keypoints': [5.0, 6.0, 0.5] * 17, 'score': 1}
        for name in ('walk_9.png', 'images/walk_10.jpg')
    ]
    path = write_json(tmp_path / 'a.json', people)
    found = read_keypoints(path, video=folder, fps=30)
    assert found.tracks[0].frames.tolist() == [1, 2]
    assert (found.num_frames, found.image_size, found.fps) == (3, (60, 40), 30.0)


def test_image_names_that_share_a_number_are_no_frames(tmp_path):
    names = ['walk_1_v2.jpg', 'walk_2_v2.jpg']
    people = [good_person(image_id=name) for name in names]
    path = write_json(tmp_path / 'a.json', people)
    with pytest.raises(KeypointFileError, match=r"walk_2_v2.jpg' have the number 2 b"):
        read_keypoints(path, image_size=IMAGE_SIZE)
    found = read_keypoints(path, image_size=IMAGE_SIZE, images=names)
    assert found.tracks[0].frames.tolist() == [0, 1]


def test_the_videos_size_and_length_are_taken(tmp_path):
    write_keypoints(tmp_path / 'out.json', clip('coco'), 'coco')
    with open_frames([np.zeros((40, 60, 3), np.uint8)] * 9, fps=30) as video:
        found = read_keypoints(tmp_path / 'out.json', video=video)
        assert (found.num_frames, found.image_size, found.fps) == (9, (60, 40), 30.0)
        assert found.source == 'arrays'
    with (
        open_frames([np.zeros((40, 60, 3), np.uint8)] * 3) as video,
        pytest.raises(
            KeypointFileError,
            match=r'has 6 frames, and arrays has 3: they do not belong',
        ),
    ):
        read_keypoints(tmp_path / 'out.json', video=video)


def test_annotations_of_coco(tmp_path):
    names = list(get_joint_set('coco').joint_names)
    data = {
        'images': [
            {
                'id': 90 + number,
                'file_name': f'f{number}.jpg',
                'width': 60,
                'height': 40,
            }
            for number in (10, 2)
        ],
        'annotations': [
            {
                'image_id': 92,
                'keypoints': [1, 2, 2] * 16 + [0, 0, 0],
                'bbox': [1, 2, 3, 4],
            },
            {'image_id': 100, 'keypoints': [1, 2, 1] * 17},
        ],
        'categories': [{'id': 1, 'name': 'person', 'keypoints': names}],
    }
    found = read_keypoints(write_json(tmp_path / 'a.json', data))
    assert (found.image_size, found.num_frames, found.joint_set) == (
        (60, 40),
        2,
        'coco',
    )
    (track,) = found.tracks
    assert track.frames.tolist() == [0, 1]
    assert track.scores.sum(1).tolist() == [16, 17]
    assert np.isnan(track.keypoints[0, 16]).all()
    assert track.bboxes[0].tolist() == [1, 2, 4, 6]
    # tools write scores where flags belong; without one joint there is nobody
    data['annotations'][1]['keypoints'] = [1, 2, 0.4] * 17
    data['annotations'].append({'image_id': 100, 'keypoints': [0, 0, 0] * 17})
    (track,) = read_keypoints(write_json(tmp_path / 'a.json', data)).tracks
    np.testing.assert_allclose(track.scores[1], 0.4)
    data['images'][0]['width'] = 61
    with pytest.raises(KeypointFileError, match='its images have 2 sizes'):
        read_keypoints(write_json(tmp_path / 'a.json', data))


def test_a_folder_of_mmposes_files_is_a_clip(tmp_path, pixels):
    keypoints, scores = in_joint_set(pixels, 'coco')
    for frame, entry in enumerate(by_hand('inferencer', keypoints, scores)):
        write_json(tmp_path / f'{frame + 5}.json', entry['instances'])
    found = read_keypoints(tmp_path, image_size=IMAGE_SIZE)
    assert found.tracks[0].frames.tolist() == list(range(COUNT))
    images = [f'{frame}.png' for frame in range(2, 12)]
    found = read_keypoints(tmp_path, image_size=IMAGE_SIZE, images=images)
    assert found.num_frames == 10
    assert found.tracks[0].frames.tolist() == list(range(3, 3 + COUNT))
    single = read_keypoints(tmp_path / '5.json', image_size=IMAGE_SIZE)
    assert (single.num_frames, len(single.tracks)) == (1, 1)


def test_plain_arrays_of_human36m(tmp_path, pixels):
    np.savez(tmp_path / 'a.npz', pixels.astype(np.float32))
    found = read_keypoints(tmp_path / 'a.npz', image_size=IMAGE_SIZE)
    np.testing.assert_allclose(found.tracks[0].keypoints, pixels, atol=1e-3)
    assert (found.tracks[0].scores == 1).all()
    # as the demos of lifters write them: people first, scores third
    scored = np.concatenate([pixels, np.full((COUNT, 17, 1), 0.5)], -1)
    scored[2] = 0  # nobody
    np.savez(tmp_path / 'b.npz', reconstruction=np.stack([scored, scored + 0.1]))
    found = read_keypoints(tmp_path / 'b.npz', image_size=IMAGE_SIZE)
    assert [len(track) for track in found.tracks] == [5, 6]


def test_missing_joints_and_high_scores(tmp_path):
    values = [1.0, 2.0, 0.9] * 17
    values[5], values[6] = 1.07, float('nan')
    path = write_json(
        tmp_path / 'a.json', [{'image_id': 0, 'keypoints': values, 'category_id': 1}]
    )
    track = read_keypoints(path, image_size=IMAGE_SIZE).tracks[0]
    assert track.scores[0, 1] == 1
    assert track.scores[0, 2] == 0
    assert np.isnan(track.keypoints[0, 2]).all()


def good_person(**changes) -> dict:
    return {'image_id': 3, 'category_id': 1, 'keypoints': [1.0] * 51, **changes}


def instance(**changes) -> dict:
    return {'keypoints': [[1.0, 2.0]] * 17, 'keypoint_scores': [0.5] * 17, **changes}


def entry(frame: int, *people: dict) -> dict:
    return {'frame_id': frame, 'instances': list(people)}


BAD = {
    'short': (
        [good_person(keypoints=[1.0] * 50)],
        r'keypoints of entry 0 \(image 3\).*50',
    ),
    'text': (
        [good_person(keypoints='1 2 3')],
        "entry 0.* to be numbers, found '1 2 3'",
    ),
    'none': ([good_person(keypoints=[None] * 51)], 'entry 0 .* to be numbers'),
    'infinite': (
        [good_person(), good_person(keypoints=[1.0] * 9 + [1e999] + [1.0] * 41)],
        r'joint 3 of entry 1 \(image 3\) is \[inf, 1.0\]',
    ),
    'no score': (
        [good_person(keypoints=[1.0] * 50 + [float('nan')])],
        r'joint 16 of entry 0 .* with score nan',
    ),
    'two sizes': (
        [good_person(), good_person(keypoints=[1.0] * 78)],
        r'different numbers of joints: 17 in entry 0.*, 26 in entry 1',
    ),
    'unknown size': (
        [good_person(keypoints=[1.0] * 57)],
        r'no joint set of 19 joints is known, only .*coco \(17\)',
    ),
    'no image': (
        [{'keypoints': [1.0] * 51, 'image_id': 'a'}],
        "found 'a'; pass images=",
    ),
    'key': ([good_person(), {'image_id': 4}], r"entry 1 lacks \['keypoints'\]"),
    'box': ([good_person(bbox=[1, 2, 3])], 'the box of entry 0 .* as 4 numbers'),
    'far': (
        [good_person(), good_person(image_id=397133)],
        'lie between 3 and 397133, so they are no frame numbers',
    ),
    'half numbered': (
        [good_person(track_id=1), good_person(image_id=4)],
        r'entry 1 \(image 4\) has no track number, and entry 0',
    ),
    'twice': (
        [good_person(track_id=1), good_person(track_id=1)],
        r'entry 1 .* has the track number 1, which entry 0 .* has too',
    ),
    'track number': ([good_person(track_id=1.5)], 'track_id of entry 0 .*found 1.5'),
    'frame number': ([entry(-1, instance())], 'frame_id of entry 0 .*found -1'),
    'frame twice': (
        [entry(0, instance()), entry(0, instance())],
        'entry 1 has frame_id 0, which entry 0 has too',
    ),
    'no scores': (
        [entry(0, instance(keypoint_scores=[0.5] * 16))],
        'expected 17 scores for the keypoints of instance 0 of frame 0, found 16',
    ),
    '3D': (
        [entry(0, instance(keypoints=[[1.0, 2.0, 3.0]] * 17))],
        r'instance 0 of frame 0 as \(joints, 2\).*: these are 3D',
    ),
    'ragged': (
        [entry(0, instance(keypoints=[[1.0, 2.0]] * 16 + [[1.0]]))],
        'keypoints of instance 0 of frame 0 is no array',
    ),
    'no list': (
        [entry(0), {'frame_id': 1, 'instances': {}}],
        'instances of entry 1 to be',
    ),
    'other': ({'version': 1.3, 'people': []}, r"none of the known formats.*'people'"),
    'number': (7, 'none of the known formats .*found int'),
    'empty': ([], 'is an empty list: nobody was found'),
}


@pytest.mark.parametrize('case', BAD)
def test_what_does_not_hold_is_named(tmp_path, case):
    data, message = BAD[case]
    path = write_json(tmp_path / 'bad.json', data)
    with pytest.raises(KeypointFileError, match=f'bad.json.*{message}'):
        read_keypoints(path, image_size=IMAGE_SIZE)


BAD_ARRAYS = {
    'shape': ({'keypoints': np.zeros((4, 16, 2))}, r'found \(4, 16, 2\) of float64'),
    'names': ({'a': np.zeros(3), 'b': np.zeros(3)}, r"'keypoints', found \['a', 'b'\]"),
    'objects': ({'positions_2d': np.array({'S1': {}})}, 'holds pickled objects'),
    'ids': (
        {'keypoints': np.zeros((4, 17, 2)), 'track_ids': np.array([1, 2])},
        'track_ids of 1 whole numbers',
    ),
    'size': (
        {'keypoints': np.ones((4, 17, 2)), 'image_size': np.array([4.5, 3.0])},
        r'image_size of \(width, height\)',
    ),
    'fps': ({'keypoints': np.ones((4, 17, 2)), 'fps': -1.0}, 'fps to be positive'),
}


@pytest.mark.parametrize('case', BAD_ARRAYS)
def test_arrays_that_do_not_hold_are_named(tmp_path, case):
    arrays, message = BAD_ARRAYS[case]
    np.savez(tmp_path / 'bad.npz', **arrays)
    with pytest.raises(KeypointFileError, match=f'bad.npz.*{message}'):
        read_keypoints(tmp_path / 'bad.npz', image_size=IMAGE_SIZE)


def test_arguments_that_do_not_hold_are_named(tmp_path):
    path = write_json(tmp_path / 'a.json', [good_person()])
    for arguments, message in (
        ({}, r'does not say how large its images are; pass image_size='),
        ({'format': 'bvh'}, "no keypoint format 'bvh'; expected 'auto', 'mmpose'"),
        ({'joint_set': 'body25', 'image_size': (9, 9)}, "no joint set 'body25'"),
        ({'joint_set': 'halpe26', 'image_size': (9, 9)}, 'has 17 joints, and halpe26'),
        ({'format': 'h36m'}, r'expected h36m as an \.npz'),
        ({'image_size': (9,)}, r'image_size must be \(width, height\), got \(9,\)'),
    ):
        with pytest.raises(KeypointFileError, match=message):
            read_keypoints(path, **arguments)
    with pytest.raises(FileNotFoundError, match=r'nothing.json does not exist'):
        read_keypoints(tmp_path / 'nothing.json')
    (tmp_path / 'cut.json').write_text('[{"image_id": 3, ')
    with pytest.raises(KeypointFileError, match=r'cut.json \(17 bytes\) is damaged'):
        read_keypoints(tmp_path / 'cut.json')
    with pytest.raises(KeypointFileError, match='is a folder; coco is one file'):
        read_keypoints(tmp_path, 'coco')


def test_a_clip_without_people(tmp_path):
    path = write_json(tmp_path / 'a.json', [entry(0), entry(1)])
    found = read_keypoints(path, image_size=IMAGE_SIZE)
    assert (found.tracks, found.num_frames) == ([], 2)
    empty = write_json(tmp_path / 'b.json', [])
    found = read_keypoints(empty, 'alphapose', image_size=IMAGE_SIZE)
    assert (found.tracks, found.num_frames) == ([], 0)


def test_writing_refuses_other_names_and_leaves_nothing(tmp_path):
    with pytest.raises(
        KeypointFileError, match=r"cannot tell a keypoint format by '.c"
    ):
        write_keypoints(tmp_path / 'a.csv', clip('coco'))
    with pytest.raises(KeypointFileError, match=r'a file of h36m must end in .npz'):
        write_keypoints(tmp_path / 'a.json', clip('coco'), 'h36m')
    hand = KeypointSequence([], 'op21', IMAGE_SIZE, 25.0, 0, 'hand')
    with pytest.raises(ValueError, match='op21 cannot be brought to h36m'):
        write_keypoints(tmp_path / 'a.npz', hand)
    assert list(tmp_path.iterdir()) == []
