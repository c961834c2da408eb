import base64
import json
from html.parser import HTMLParser

import numpy as np
import pytest

from mmssm.visualization.viewer.packing import json_in_html, pack, pack_scaled


def unpacked(packed):
    numbers = np.frombuffer(base64.b64decode(packed['data']), packed['dtype'])
    if 'scale' not in packed:
        return numbers
    return np.where(numbers == -32768, np.nan, numbers * packed['scale'])


@pytest.mark.parametrize('dtype', ['float32', 'int32', 'uint8'])
def test_numbers_come_back(dtype):
    values = np.arange(12).reshape(3, 4)
    packed = pack(values, dtype)
    assert packed['dtype'] == dtype
    assert np.array_equal(unpacked(packed), values.ravel())


def test_nan_stays_in_floats():
    assert np.isnan(unpacked(pack([1.0, np.nan], 'float32'))[1])


def test_scaled_numbers_are_half_as_large_and_close():
    values = np.random.default_rng(0).normal(0, 0.1, (50, 3))
    values[4, 1] = np.nan
    packed = pack_scaled(values)
    assert len(packed['data']) < 0.51 * len(pack(values, 'float32')['data'])
    found = unpacked(packed).reshape(values.shape)
    assert np.isnan(found[4, 1]) and np.isnan(found).sum() == 1
    assert np.nanmax(np.abs(found - values)) <= 0.5001 * packed['scale']
    assert np.nanmax(np.abs(values)) / packed['scale'] == pytest.approx(32767)


@pytest.mark.parametrize('values', [[], [0.0, 0.0], [np.nan]])
def test_scaled_numbers_without_any_size(values):
    assert np.array_equal(unpacked(pack_scaled(values)), values, equal_nan=True)


class Scripts(HTMLParser):
    """Counts elements and keeps the text of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize(
    'name',
    ['</script><script>x()</script>', '<!-- <script>', '&lt;', '\'"\\', '\u2028\x00é'],
)
def test_json_does_not_end_its_element(name):
    text = json_in_html({name: [name, 1.5, None]})
    assert not set('<>&') & set(text)
    assert json.loads(text) == {name: [name, 1.5, None]}
    page = Scripts()
    page.feed(f'<script type="application/json">{text}</script>')
    assert page.tags == ['script'] and page.texts == [text]


def test_json_without_a_number_is_refused():
    with pytest.raises(ValueError):
        json_in_html([float('nan')])
