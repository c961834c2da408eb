"""Formats of keypoint files, one each: reading and writing."""
