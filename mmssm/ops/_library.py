"""Finds and loads the compiled kernels, and says why it could not."""

_obstacle = 'not built'


def load():
    pass


def obstacle(device_type):
    return _obstacle
