import os

import pytest

from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import (
    FileNotWrittenError,
    open_atomically,
    path_atomically,
    write_atomically,
)


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / 'new' / 'a.txt'
    with open_atomically(path) as file:
        file.write(b'one')
        assert not path.exists()
        file.write(b' two')
    assert path.read_bytes() == b'one two'
    assert os.listdir(path.parent) == ['a.txt']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_what_was_there_outlives_an_error(tmp_path, error):
    path = tmp_path / 'a.txt'
    write_atomically(path, b'old')
    with pytest.raises(error), open_atomically(path) as file:
        file.write(b'half')
        raise error
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_full_disk_is_named(tmp_path):
    path = tmp_path / 'a.txt'
    write_atomically(path, b'old')
    with (
        pytest.raises(FileNotWrittenError, match=r'No space left.*a\.txt was not'),
        open_atomically(path),
    ):
        raise OSError(28, 'No space left on device')
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_what_cannot_be_a_file_is_refused_before_any_work(tmp_path):
    (tmp_path / 'file').write_bytes(b'old')
    (tmp_path / 'folder').mkdir()
    for path in ('folder', 'file/a.txt'):
        with pytest.raises(FileNotWrittenError, match=f'{path} was not written'):
            write_atomically(tmp_path / path, b'new')
    with pytest.raises(FileNotWrittenError, match='no plain file'):
        write_atomically('/dev/null', b'new')
    assert not os.path.isfile('/dev/null')
    assert (tmp_path / 'file').read_bytes() == b'old'


def test_a_writer_that_takes_a_name(tmp_path):
    path = tmp_path / 'sub' / 'clip.mp4'
    with path_atomically(path) as partial:
        assert partial.parent == path.parent and partial.suffix == '.mp4'
        partial.write_bytes(b'new')
        assert not path.exists()
    assert path.read_bytes() == b'new'
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_writes_nothing(tmp_path):
    with pytest.raises(FileNotWrittenError), path_atomically(tmp_path / 'clip.mp4'):
        pass
    assert not list(tmp_path.iterdir())


def test_errors_of_others_are_not_taken_for_a_full_disk(tmp_path):
    class Missing(UserError, FileNotFoundError):
        pass

    path = tmp_path / 'page.html'
    with pytest.raises(Missing, match='no such video'), open_atomically(path):
        raise Missing('there is no such video')
    assert not list(tmp_path.iterdir())
