import json

import numpy as np
import pytest
from helpers import results as make

from mmssm.apis import result_files
from mmssm.apis.results import (
    HandMeshResult,
    LiftingResult,
    PersonResult,
    read_hand_mesh_result,
    read_lifting_result,
)
from mmssm.utils.whole_files import FileNotWrittenError

KINDS = {
    'lifting': (make.lifting_result, read_lifting_result),
    'hands': (make.hand_mesh_result, read_hand_mesh_result),
}


def write(result, path):
    {'.json': result.to_json, '.npz': result.to_npz}[path.suffix](path)


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif hasattr(one, '__dataclass_fields__'):
        for name in one.__dataclass_fields__:
            assert_same(getattr(one, name), getattr(other, name))
    else:
        assert one == other


@pytest.mark.parametrize('suffix', ['.json', '.npz'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_file_gives_back_the_result(tmp_path, kind, suffix):
    make_result, read = KINDS[kind]
    path = tmp_path / f'result{suffix}'
    write(make_result(), path)
    assert_same(read(path), make_result())


@pytest.mark.parametrize('suffix', ['.json', '.npz'])
def test_results_without_anybody_are_results(tmp_path, suffix):
    path = tmp_path / f'result{suffix}'
    empty = make.lifting_result(persons=[], fps=None, focal_length=None)
    write(empty, path)
    assert_same(read_lifting_result(path), empty)


def test_json_keeps_every_bit_in_few_digits(tmp_path):
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(3, 17, 2)) * 10.0 ** rng.integers(-30, 30, (3, 17, 2))
    numbers[0, :4, 0] = [0, 0.1, 1e-45, 3e38]
    person = make.person(frames=(0, 1, 2))
    person = PersonResult(**{**vars(person), 'keypoints': numbers})
    path = tmp_path / 'result.json'
    make.lifting_result([person]).to_json(path)
    (back,) = read_lifting_result(path).persons
    np.testing.assert_array_equal(back.keypoints, numbers.astype(np.float32))
    assert json.loads(path.read_text())['persons'][0]['keypoints'][0][1][0] == 0.1


def test_long_results_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(result_files, '_ROWS', 3)
    make.lifting_result().to_json(tmp_path / 'pieces.json')
    monkeypatch.undo()
    make.lifting_result().to_json(tmp_path / 'whole.json')
    pieces, whole = (tmp_path / name for name in ('pieces.json', 'whole.json'))
    assert pieces.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize('suffix', ['.json', '.npz'])
def test_missing_joints_stay_missing(tmp_path, suffix):
    person = make.person()
    keypoints = person.keypoints.copy()
    keypoints[1, 3] = np.nan
    person = PersonResult(**{**vars(person), 'keypoints': keypoints})
    path = tmp_path / f'result{suffix}'
    write(make.lifting_result([person]), path)
    np.testing.assert_array_equal(
        read_lifting_result(path).persons[0].keypoints, keypoints
    )
    if suffix == '.json':
        content = json.loads(path.read_text())
        assert content['persons'][0]['keypoints'][1][3] == [None, None]


def test_json_says_its_units(tmp_path):
    make.lifting_result().to_json(tmp_path / 'result.json')
    units = json.loads((tmp_path / 'result.json').read_text())['units']
    assert 'metres' in units['3d'] and 'pixels' in units['image']


@pytest.mark.parametrize(
    ('place', 'value', 'message'),
    [
        (('fps',), 'fast', 'fps: expected int or float, found str'),
        (('image_size',), [100], 'image_size: expected two numbers'),
        (('num_frames',), 2, 'reaches frame 3 of 2 frames'),
        (('skeleton_links', 2), [0, 17], 'skeleton_links must be pairs'),
        (('joint_names', 0), 7, r'joint_names\[0\]: expected str'),
        (('persons', 1, 'track_id'), 0, 'numbers of their own'),
        (('persons', 0, 'track_id'), '0', 'track_id: expected int'),
        (('persons', 1, 'frames'), [2, 2, 5], r'persons\[1\].*strictly increasing'),
        (
            ('persons', 0, 'keypoints', 1, 4),
            [1, 'a'],
            'keypoints must .*got text among',
        ),
        (('persons', 0, 'keypoints', 1, 4), [1], 'keypoints: lists of different'),
        (('persons', 0, 'keypoint_scores', 0, 0), None, 'keypoint_scores must be'),
        (('persons', 0, 'keypoint_scores', 0, 0), 1.5, r'must lie in \[0, 1\]'),
        (('persons', 0, 'filled', 0), 1.0, 'filled must be'),
        (('persons', 0, 'filled'), [True], r'filled must be \(4\) of bool, got'),
        (('format',), 'mmssm.lifting/9', "expected 'mmssm.lifting/1'"),
        (('extra',), 1, "an unknown field 'extra'"),
        (('persons', 0, 'extra'), 1, r"persons\[0\] has an unknown field 'extra'"),
        (('persons',), {}, 'persons: expected list, found dict'),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, place, value, message):
    path = tmp_path / 'result.json'
    make.lifting_result().to_json(path)
    content = json.loads(path.read_text())
    owner = content
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(result_files.ResultFileError, match=message) as error:
        read_lifting_result(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize('kind', KINDS)
def test_a_field_that_is_not_there_is_named(tmp_path, kind):
    make_result, read = KINDS[kind]
    path = tmp_path / 'result.json'
    make_result().to_json(path)
    whole = json.loads(path.read_text())
    for name in set(whole) - {'units', 'format'}:
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != name}))
        with pytest.raises(result_files.ResultFileError, match=f'no field {name!r}'):
            read(path)


@pytest.mark.parametrize('suffix', ['.json', '.npz'])
@pytest.mark.parametrize('kind', KINDS)
def test_half_a_file_is_refused(tmp_path, kind, suffix):
    make_result, read = KINDS[kind]
    path = tmp_path / f'result{suffix}'
    write(make_result(), path)
    data = path.read_bytes()
    for length in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(result_files.ResultFileError, match=path.name):
            read(path)


def test_an_archive_may_hold_no_objects(tmp_path):
    path = tmp_path / 'result.npz'
    np.savez(path, meta=np.array([{'format': 1}], dtype=object))
    with pytest.raises(result_files.ResultFileError, match='plain arrays'):
        read_lifting_result(path)


def test_arrays_of_an_archive_are_named(tmp_path):
    path = tmp_path / 'result.npz'
    make.lifting_result().to_npz(path)
    arrays = dict(np.load(path))
    np.savez(path, **{k: v for k, v in arrays.items() if k != 'person1_filled'})
    with pytest.raises(result_files.ResultFileError, match="no array 'person1_filled'"):
        read_lifting_result(path)
    np.savez(path, **arrays, more=np.zeros(2))
    with pytest.raises(
        result_files.ResultFileError, match=r"unknown arrays \['more'\]"
    ):
        read_lifting_result(path)
    with open(path, 'wb') as file:
        np.save(file, np.zeros(3))
    with pytest.raises(result_files.ResultFileError, match='not a whole NumPy archive'):
        read_lifting_result(path)


def test_other_endings_and_no_file_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no result file'):
        read_lifting_result(tmp_path / 'result.json')
    (tmp_path / 'result.txt').write_text('{}')
    with pytest.raises(result_files.ResultFileError, match=r'ends in \.json or \.npz'):
        read_lifting_result(tmp_path / 'result.txt')


@pytest.mark.parametrize('suffix', ['.json', '.npz'])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, suffix):
    path = tmp_path / f'result{suffix}'
    write(make.lifting_result(), path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(FileNotWrittenError, match='No space left'):
        write(make.lifting_result(persons=[]), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_persons_are_checked():
    good = vars(make.person())
    for changes, message in [
        ({'frames': [0, 1, 1, 2]}, 'strictly increasing'),
        ({'frames': np.zeros(0, int)}, r'keypoints must be \(0, J, 2\)'),
        ({'keypoints': np.zeros((4, 16, 2))}, r'scores must be \(4, 16\)'),
        ({'keypoints_3d': np.full((4, 17, 3), np.inf)}, r'\[0, 0, 0\] is inf'),
        ({'filled': np.zeros(4)}, r'filled must be \(4\) of bool'),
        ({'root_position': np.zeros((3, 3))}, r'root_position must be \(4, 3\)'),
    ]:
        with pytest.raises(ValueError, match=f'person 0.*{message}'):
            PersonResult(**{**good, **changes})


def test_a_result_fits_its_persons():
    with pytest.raises(ValueError, match='person 0 has 17 joints, joint_names 2'):
        make.lifting_result(joint_names=('root', 'head'), skeleton_links=())
    with pytest.raises(ValueError, match='image_size'):
        make.lifting_result(image_size=(0, 3))
    with pytest.raises(ValueError, match='image_size'):
        make.lifting_result(image_size=(640.5, 480))
    size = make.lifting_result(image_size=np.array([640.0, 480.0])).image_size
    assert size == (640, 480) and type(size[0]) is int
    with pytest.raises(ValueError, match='fps'):
        make.lifting_result(fps=0)
    assert isinstance(make.lifting_result(), LiftingResult)


def test_joints_before_the_camera_are_at_the_root():
    person = make.person(placed=True)
    np.testing.assert_allclose(
        person.keypoints_camera - person.keypoints_3d,
        np.repeat(person.root_position[:, None], 17, axis=1),
        atol=1e-6,
    )
    assert make.person().keypoints_camera is None


def test_a_hand_fits_its_faces():
    with pytest.raises(ValueError, match='frame 2: the right hand has 3 vertices'):
        make.hand_mesh_result(frames=[[make.hand()], [], [make.hand(num_vertices=3)]])
    with pytest.raises(ValueError, match='side must be'):
        make.hand('both')
    with pytest.raises(ValueError, match='1 frame_names for 3 frames'):
        make.hand_mesh_result(frame_names=('a.jpg',))
    assert isinstance(make.hand_mesh_result(), HandMeshResult)


def test_meshes_are_saved_before_the_camera(tmp_path):
    result = make.hand_mesh_result()
    paths = result.save_meshes(tmp_path)
    names = ['frame000000_0_right', 'frame000002_0_left', 'frame000002_1_right']
    assert [path.stem for path in paths] == names
    lines = paths[1].read_text().splitlines()
    first = np.array(lines[0].split()[1:], float)
    np.testing.assert_allclose(first, result.frames[2][0].vertices_camera[0], rtol=1e-6)
    # mirrored, so that the outside stays outside
    assert 'f 3 2 1' in lines and 'f 1 2 3' in paths[0].read_text().splitlines()
