"""``python -m mmssm``: the ``mmssm`` command."""

import sys

from mmssm.cli import main

if __name__ == '__main__':
    sys.exit(main())
