"""Pages that play results in a browser, and annotated videos."""

from .annotated_video import write_annotated_video
from .hand_page import write_hand_page
from .lifting_page import write_lifting_page

__all__ = ['write_annotated_video', 'write_hand_page', 'write_lifting_page']
