"""Pages that play results in a browser, and annotated videos."""

from .hand_page import write_hand_page
from .lifting_page import write_lifting_page

__all__ = ['write_hand_page', 'write_lifting_page']
