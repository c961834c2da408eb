import json
import zipfile

import numpy as np
import pytest

import mmssm.registry  # noqa: F401
from mmssm.evaluation.submissions import SUBMISSIONS, write_submission
from mmssm.structures.hand import reorder


def read(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ['pred.json']
        return json.loads(archive.read('pred.json'))


@pytest.fixture
def hands():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 21, 3)), rng.normal(size=(3, 40, 3))


def test_freihand_is_two_lists_in_metres(tmp_path, hands):
    joints, vertices = hands
    path = write_submission(tmp_path / 'a' / 'out.zip', 'freihand', *hands, 3, 40)
    found = read(path)
    assert len(found) == 2
    np.testing.assert_allclose(found[0], joints, rtol=0, atol=5.1e-8)
    np.testing.assert_allclose(found[1], vertices, rtol=0, atol=5.1e-8)
    assert [p.name for p in path.parent.iterdir()] == ['out.zip']


def test_ho3d_is_in_mano_order_and_the_frame_of_opengl(tmp_path, hands):
    joints, vertices = hands
    path = write_submission(tmp_path / 'out.zip', 'ho3d_v3', *hands, 3, 40)
    found = read(path)
    flip = np.array([1, -1, -1])
    native = reorder(joints, 'op21', 'mano') * flip
    np.testing.assert_allclose(found[0], native, rtol=0, atol=5.1e-8)
    np.testing.assert_allclose(found[1], vertices * flip, rtol=0, atol=5.1e-8)


def test_files_of_equal_hands_are_equal(tmp_path, hands):
    files = [
        write_submission(tmp_path / name, 'freihand', *hands, 3, 40).read_bytes()
        for name in ('a.zip', 'b.zip')
    ]
    assert files[0] == files[1]


def test_counts_are_those_of_the_released_sets():
    counts = {name: server.num_samples for name, server in SUBMISSIONS.items()}
    assert counts == {'freihand': 3960, 'ho3d_v2': 11524, 'ho3d_v3': 20137}


def test_nothing_is_written_of_what_a_server_would_refuse(tmp_path, hands):
    joints, vertices = hands
    path = tmp_path / 'out.zip'
    bad = joints.copy()
    bad[1, 3, 0] = np.inf
    for columns, arguments, message in (
        ((joints, vertices), (), r'expected joints of shape \(3960, 21, 3\)'),
        ((joints, vertices), (3,), r'expected vertices of shape \(3, 778, 3\)'),
        ((joints[:, :16], vertices), (3, 40), r'found \(3, 16, 3\)'),
        ((joints, vertices[:2]), (3, 40), r'found \(2, 40, 3\)'),
        ((bad, vertices), (3, 40), 'joints of 1 images are not finite, first of im'),
    ):
        with pytest.raises(ValueError, match=message):
            write_submission(path, 'freihand', *columns, *arguments)
    with pytest.raises(ValueError, match='one of'):
        write_submission(path, 'nyu', *hands, 3, 40)
    with pytest.raises(ValueError, match=r'is a \.zip'):
        write_submission(tmp_path / 'pred.json', 'freihand', *hands, 3, 40)
    assert not list(tmp_path.iterdir())


def test_an_earlier_file_survives_a_failure(tmp_path, hands, monkeypatch):
    path = write_submission(tmp_path / 'out.zip', 'freihand', *hands, 3, 40)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmssm.evaluation.submissions.json.dumps', fail)
    with pytest.raises(OSError, match='No space left'):
        write_submission(path, 'freihand', *hands, 3, 40)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['out.zip']
