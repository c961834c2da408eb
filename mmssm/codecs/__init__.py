"""Codecs: between joints in pixels and metres and what networks see."""

from .frame_lifting_label import FrameLiftingLabel

__all__ = ['FrameLiftingLabel']
