"""The messages that the page on troubleshooting explains are those of the code."""

import ast
import re

import pytest
from helpers.modules import ROOT

PAGE = (ROOT / 'docs' / 'troubleshooting.md').read_text()
OURS, _, UPSTREAM = PAGE.partition('## Messages of MMPose')
ROW = re.compile(r'^\| `([^`]+)` \|', re.MULTILINE)


def texts() -> str:
    """All strings of the code; what is put into them at run time is one character."""
    found = []
    for folder in ('mmssm', 'tools'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = [
                        str(part.value) if isinstance(part, ast.Constant) else '…'
                        for part in node.values
                    ]
                    found.append(''.join(parts))
    return '\n\n'.join(found)


@pytest.fixture(scope='module')
def code() -> str:
    return re.sub(r'(?<=\S)\n(?=\S)', ' ', texts())


@pytest.mark.parametrize('message', ROW.findall(OURS))
def test_message_is_in_the_code(code, message):
    parts = (re.escape(part.strip()) for part in message.split('…'))
    # nothing but what is filled in lies between the parts of one message
    assert re.search(r'[^\n]{0,80}?'.join(parts), code), message


def test_every_part_of_the_page_has_messages():
    assert len(ROW.findall(OURS)) > 40
    assert len(ROW.findall(UPSTREAM)) >= 8
