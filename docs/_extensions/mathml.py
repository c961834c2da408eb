"""Formulas as MathML, which browsers draw themselves.

Sphinx's own renderers load a script from the network or need a TeX installation.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Writes a formula in a line of text."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Writes a formula that stands by itself."""
    formula = tex2mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="math">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Joins Sphinx."""
    app.add_html_math_renderer('mathml', (inline, None), (block, None))
    return {'version': '1', 'parallel_read_safe': True, 'parallel_write_safe': True}
