import pytest
from helpers.chromium import Browser


@pytest.fixture(scope='session')
def browser(tmp_path_factory):
    """A Chromium, if this machine has one."""
    browser = Browser(tmp_path_factory.mktemp('chromium'))
    yield browser
    browser.close()
