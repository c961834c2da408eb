"""Hand meshes in images, folders of images and videos: ``mmssm hand`` of this checkout.

    python demo/hand_mesh_demo.py IMAGE --bbox 40 60 180 200 --out DIR

``--help`` says more. Without installing anything, PYTHONPATH must name the checkout.
"""

import sys

from mmssm.cli import main

if __name__ == '__main__':
    sys.exit(main(['hand', *sys.argv[1:]]))
