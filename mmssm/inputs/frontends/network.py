"""Running TensorFlow Lite networks with LiteRT."""

from collections.abc import Callable
from os import PathLike
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.frontends.model_files import read_model
from mmssm.utils.errors import UserError

Network: TypeAlias = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]
"""From an image ``(S, S, 3)`` to the network's outputs, in the file's order."""


class MissingPackage(UserError, ImportError):
    """A package that is needed and not installed."""


def load_network(
    name: str, folder: str | PathLike | None = None, num_threads: int = 1
) -> Network:
    """Loads one of MediaPipe's networks.

    Args:
        name: A key of :data:`mmssm.inputs.frontends.model_files.MODELS`.
        folder: Where the networks are; default: the user's cache.
        num_threads: Threads that it may use.

    Returns:
        A function from an image, red, green, blue, ``(S, S, 3)`` float32, to the
        network's outputs, of which the leading axis of one is removed.

    Raises:
        MissingPackage: LiteRT is not installed.
        ModelFileError: The network has not been fetched, or is damaged.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingPackage(
            "MediaPipe's networks are run by LiteRT, which is not installed: "
            'pip install ai-edge-litert'
        ) from error
    interpreter = Interpreter(
        model_content=read_model(name, folder), num_threads=num_threads
    )
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]['index']
    outputs = [detail['index'] for detail in interpreter.get_output_details()]

    def run(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        interpreter.set_tensor(place, image[None])
        interpreter.invoke()
        return [interpreter.get_tensor(output)[0] for output in outputs]

    return run
