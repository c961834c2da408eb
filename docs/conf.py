"""The site of the pages in this folder; ``make docs`` builds it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / '_extensions')]

import mmssm.registry  # noqa: E402, F401  cures the host before autodoc imports it
from mmssm import __version__  # noqa: E402

project = 'mmssm'
author = 'The mmssm authors'
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'mathml',
    'repository_links',
]
exclude_patterns = ['_extensions', 'figures']
default_role = 'code'

myst_heading_anchors = 4

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ['Source']
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
autodoc_member_order = 'bysource'
autodoc_default_options = {'members': True, 'show-inheritance': True}

html_math_renderer = 'mathml'
html_theme = 'furo'
html_title = f'mmssm {release}'
html_show_copyright = False
html_copy_source = False
