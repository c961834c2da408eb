import os

import pytest

from mmssm.utils.whole_files import (
    FileNotWrittenError,
    open_atomically,
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
