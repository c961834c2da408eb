"""What MMPose wants to know of a skeleton, made from ``mmssm.structures``.

MMPose keeps it in config files, which it looks for in the working directory and
in its own package alone; a dict needs no search.
"""

from mmssm.datasets.metainfo.hand import hand_metainfo, nyu_metainfo

__all__ = ['hand_metainfo', 'nyu_metainfo']
