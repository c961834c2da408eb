"""Pages that play results in a browser, and annotated videos."""

from .lifting_page import write_lifting_page

__all__ = ['write_lifting_page']
