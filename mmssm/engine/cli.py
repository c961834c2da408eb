"""What the command-line tools share."""

import argparse
import difflib
import importlib.util
import inspect
import json
import os
import pickle
import re
import sys
import traceback
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import Registry

from mmssm.utils.errors import UserError

_UNREADABLE = (
    zipfile.BadZipFile,
    json.JSONDecodeError,
    pickle.UnpicklingError,
    EOFError,
    FileNotFoundError,
)


_INSTALL = {
    'mmdet': 'make full (mmcv compiled; an environment of its own)',
    'mmpretrain': 'pip install model-index markdown rich einops mat4py '
    'importlib-metadata ordered-set, then pip install --no-deps mmpretrain==1.2.0',
}


class OptionsAction(DictAction):
    """MMEngine's parser of ``KEY=VALUE``, which never returns from a ``dict(...)``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Parses the options."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (RecursionError, ValueError, AssertionError):
            parser.error(
                f'{option_string} takes KEY=VALUE with numbers, strings, lists and '
                f'tuples as values, and got {" ".join(values)}; give a dict by its '
                'keys, as in optim_wrapper.optimizer.lr=0.001'
            )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that training and testing share, named as MMPose's."""
    parser.add_argument(
        '--show-dir', help='folder in which pictures of the predictions are saved'
    )
    parser.add_argument(
        '--show', action='store_true', help='show the predictions in a window'
    )
    parser.add_argument(
        '--interval', type=int, default=1, help='draw every so many samples'
    )
    parser.add_argument(
        '--wait-time', type=float, default=1, help='seconds that a window stays open'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='changes of the config, such as train_dataloader.batch_size=32 '
        'model.backbone._delete_=True model.backbone.type=mmssm.PoseMamba. Lists '
        'are written key="[a,b]" or key=a,b, nested ones key="[(a,b),(c,d)]", '
        'without spaces',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes of a distributed run; dist_train.sh and '
        'dist_test.sh set it',
    )
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS
    )


def set_work_dir(config: Config, args: argparse.Namespace) -> None:
    """Takes the working directory from the arguments, else from the config's name."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        name = os.path.splitext(os.path.basename(args.config))[0]
        config.work_dir = os.path.join('./work_dirs', name)


def set_visualization(config: Config, args: argparse.Namespace, show: bool) -> None:
    """Turns on the config's visualization hook.

    Raises:
        UserError: The config has no such hook.
    """
    hook = config.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UserError(
            '--show and --show-dir need a visualization hook in the config: add '
            "default_hooks = dict(visualization=dict(type='PoseVisualizationHook')), "
            "'mmssm.Pose3dVisualizationHook' for lifted poses, or "
            "'mmssm.HandMeshVisualizationHook' for meshes"
        )
    # Hooks, MMPose's too, put a relative folder below that of the run.
    folder = None if args.show_dir is None else os.path.abspath(args.show_dir)
    hook.update(enable=True, show=show, out_dir=folder, interval=args.interval)
    if args.show:
        hook.wait_time = args.wait_time


def merge_options(config: Config, args: argparse.Namespace) -> None:
    """Merges ``--cfg-options`` into the config.

    Raises:
        UserError: An option goes into something that is no dict or list.
    """
    try:
        config.merge_from_dict(args.cfg_options or {})
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f'--cfg-options does not fit the config: {error}') from error


@contextmanager
def messages_for_users(config: Config | None = None) -> Iterator[None]:
    """Turns errors that are the user's to mend into a message and exit status 1.

    These are :class:`UserError`, a type or an argument in the config that does
    not exist, a data file that cannot be read, and what a class of this package
    says while it is built of its arguments or its files, missing ones too.
    All others, which are bugs, keep their traceback.

    Args:
        config: The config in use, to say where in it a fault lies.
    """
    try:
        yield
    except UserError as error:
        sys.exit(f'error: {error}')
    except (TypeError, KeyError) as error:
        message = _explain_build(error, config)
        if message is None:
            raise
        sys.exit(f'error: {message}')
    except _UNREADABLE as error:
        if _is_refusal(error):
            sys.exit(f'error: {error}')
        if _last_frame(error, 'build_dataloader') is None:
            raise
        sys.exit(
            f'error: a dataset of the config cannot be read: '
            f'{type(error).__name__}: {error}'
        )
    except ValueError as error:
        if not _is_refusal(error):
            raise
        sys.exit(f'error: {error}')


def _is_refusal(error: Exception) -> bool:
    """Whether a class of this package raised it, in words, while it was built."""
    if _last_frame(error, 'build_from_cfg') is None:
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not last.tb_frame.f_globals['__name__'].startswith('mmssm.'):
        return False
    # What NumPy and PyTorch raise has no frame of its own: there a call is last.
    line = traceback.extract_tb(last)[-1].line or ''
    return line.startswith('raise ')


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _last_frame(error: Exception, function: str) -> FrameType | None:
    frames = [f for f in _frames(error.__traceback__) if f.f_code.co_name == function]
    return frames[-1] if frames else None


def _explain_build(error: Exception, config: Config | None) -> str | None:
    """Says what is wrong with the part of the config that was being built."""
    frame = _last_frame(error, 'build_from_cfg')
    if frame is None:
        return None
    if isinstance(error, KeyError):
        return _explain_unknown_type(frame, config)
    return _explain_argument(error, frame, config)


def _explain_unknown_type(frame: FrameType, config: Config | None) -> str | None:
    name, found = frame.f_locals.get('obj_type'), frame.f_locals.get('obj_cls', '')
    if found is not None or not isinstance(name, str):
        return None
    scope = name.split('.')[0]
    if scope in _INSTALL and importlib.util.find_spec(scope) is None:
        return (
            f'{name!r}{_place(config, "type", name)} needs {scope}, which is not '
            f'installed: {_INSTALL[scope]}'
        )
    registry = frame.f_locals['registry']
    hint = _hint(name.split('.')[-1], _names(registry.root))
    return (
        f'{name!r}{_place(config, "type", name)} is not a {registry.name} that is '
        f'registered{hint}'
    )


def _explain_argument(
    error: Exception, frame: FrameType, config: Config | None
) -> str | None:
    match = re.search(
        r'(unexpected keyword argument|required .*argument.*:) (.*)', str(error)
    )
    given = frame.f_locals.get('args', {})
    target = frame.f_locals.get('obj_cls')
    if match is None or target is None:
        return None
    name = match[2].strip("'")
    label = f'{target.__module__}.{target.__qualname__}'
    if not match[1].startswith('unexpected'):
        return f'{label} needs the argument {match[2]}, which the config does not give'
    if name not in given:
        return None
    accepted = [
        parameter.name
        for parameter in inspect.signature(target).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    return (
        f'{label} has no argument {name!r}{_place(config, name, given[name])}'
        f'{_hint(name, accepted)}. Its arguments are: {", ".join(accepted)}'
    )


def _hint(name: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(name, choices, n=1)
    return f'; did you mean {close[0]!r}?' if close else ''


def _names(registry: Registry) -> list[str]:
    names = list(registry.module_dict)
    for child in registry.children.values():
        names += _names(child)
    return names


def _place(config: Config | None, key: str, value: Any) -> str:
    """Where in the config a key with this value stands."""
    if config is None:
        return ''
    places = list(_places(config._cfg_dict, key, value, ''))
    return f' (in the config: {", ".join(places[:3])})' if places else ''


def _places(node: Any, key: str, value: Any, prefix: str) -> Iterator[str]:
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
        if key in node and node[key] == value:
            yield prefix + key
    elif isinstance(node, list | tuple):
        items = enumerate(node)
    for name, child in items:
        yield from _places(child, key, value, f'{prefix}{name}.')
