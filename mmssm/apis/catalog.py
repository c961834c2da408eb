"""The models by name: what ``model-index.yml`` and its metafiles say of them.

Nothing here imports PyTorch or MMPose, so that looking something up is quick.
"""

import difflib
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mmssm
from mmssm.utils.errors import UserError

INDEX = 'model-index.yml'
_OFFERED = 5


class UnknownModelError(UserError, LookupError):
    """No model has this name."""


class MissingWeightsError(UserError, FileNotFoundError):
    """The weights of a model are not on this machine."""


class CatalogError(UserError, ValueError):
    """The index or a metafile is not as it should be."""


@dataclass(frozen=True)
class Paper:
    """Where a model was published."""

    title: str
    url: str


@dataclass(frozen=True)
class ModelEntry:
    """What is known of one model without building it.

    Attributes:
        alias: The shortest name; its config's where the model has no other.
        name: Name of the config without its suffix.
        aliases: All further names, ``alias`` among them if it is one.
        task: Folder of the config's task: ``'body_3d_keypoint'``, ``'hand_mesh'`` …
        config: The config file on this machine.
        weights: File of trained weights, or None if there is none on this machine.
        metrics: Numbers by their name and unit's convention, such as ``MPJPE`` in
            millimetres; ``(paper)`` behind a name says that it is quoted.
        dataset: What the model is, or is to be, trained on.
        paper: Where the model was published, if it was.
        parameters: How many numbers are learnt.
        converters: Scripts that turn the authors' weights into ours.
        caveat: What whoever uses the weights must know, or ``''``.
    """

    alias: str
    name: str
    aliases: tuple[str, ...]
    task: str
    config: Path
    weights: Path | None
    metrics: Mapping[str, float]
    dataset: str
    paper: Paper | None
    parameters: int | None
    converters: tuple[str, ...]
    caveat: str

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which :func:`find_model` knows the model."""
        return (*self.aliases, self.name)

    def how_to_get_weights(self) -> str:
        """The commands that make the weights."""
        trains = f'mmssm train {self.alias}'
        ways = [f'train it: {trains}']
        if self.dataset:
            ways[0] += f' (on {self.dataset})'
        ways += [
            "convert its authors' weights: "
            f'mmssm convert {Path(script).stem} SOURCE DESTINATION'
            for script in self.converters
        ]
        return '; or '.join(ways)

    def require_weights(self) -> Path:
        """Returns the file of weights.

        Raises:
            MissingWeightsError: There is none here; the message has the commands
                that train or convert them.
        """
        if self.weights is None:
            raise MissingWeightsError(
                f'no trained weights of {self.alias!r} are here: '
                f'{self.how_to_get_weights()}; then name the file as weights (on the '
                'command line: --weights FILE)'
            )
        return self.weights


@dataclass(frozen=True)
class ResolvedModel:
    """What a user's name of a model stands for.

    Attributes:
        name: How it is called in results.
        config: Its config file.
        weights: Its weights.
        caveat: What whoever uses the model's own weights must know, or ``''``.
    """

    name: str
    config: Path
    weights: Path
    caveat: str = ''


def list_models(
    pattern: str | None = None,
    task: str | None = None,
    with_weights: bool = False,
) -> list[ModelEntry]:
    """Lists models.

    Args:
        pattern: Part of a name, or a whole name with ``*`` and ``?`` for what may
            be anything; letters' case does not matter, and ``_`` is ``-``.
        task: One of :func:`list_tasks`; ``'Body 3D Keypoint'`` is understood too.
        with_weights: Only models whose trained weights are on this machine.

    Returns:
        The entries, sorted by task, those with weights first, then by name.

    Raises:
        ValueError: There is no such task.
    """
    entries = _entries()
    if task is not None:
        wanted = _task_name(task)
        entries = tuple(entry for entry in entries if entry.task == wanted)
    if pattern is not None:
        entries = tuple(entry for entry in entries if _matches(entry, pattern))
    return [entry for entry in entries if entry.weights or not with_weights]


def list_tasks() -> list[str]:
    """Lists the tasks of all models."""
    return sorted({entry.task for entry in _entries()})


def find_model(name: str) -> ModelEntry:
    """Finds a model by its alias, or by the name of its config.

    Raises:
        UnknownModelError: No model is called so; the nearest names are offered.
    """
    wanted = _plain(str(name))
    known = {_plain(known): e for e in _entries() for known in e.names}
    if wanted in known:
        return known[wanted]
    near = [key for key in sorted(known, key=len) if _letters(wanted) in _letters(key)]
    near = near or difflib.get_close_matches(wanted, known, n=_OFFERED, cutoff=0.5)
    offered = list(dict.fromkeys(known[key].alias for key in near))[:_OFFERED]
    hint = f'; did you mean {" or ".join(map(repr, offered))}?' if offered else '.'
    raise UnknownModelError(
        f'there is no model {str(name)!r}{hint} `mmssm list` (list_models() in Python) '
        'shows all of them'
    )


def resolve_config(name: str | Path) -> Path:
    """The config file that a path or a model's name stands for.

    Raises:
        UnknownModelError: It is neither a file nor the name of a model.
        UserError: It is written like a file's name, and there is no such file.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix == '.py':
        shipped = root() / path
        if shipped.is_file():
            return shipped
        raise UserError(
            f'there is no config file {path} (working directory: {Path.cwd()}); '
            '`mmssm list` shows the models that can be called by name'
        )
    return find_model(str(name)).config


def resolve_model(
    model: str | Path, weights: str | Path | None = None
) -> ResolvedModel:
    """Finds config and weights of what a user calls a model.

    Args:
        model: The name of a model, or a config file.
        weights: A file of weights; the model's own if None.

    Raises:
        UnknownModelError: No model is called so.
        MissingWeightsError: The model has no weights here, or the file is not there.
        UserError: The config file is not there.
    """
    config = resolve_config(model)
    if weights is not None:
        file = Path(weights)
        if not file.is_file():
            raise MissingWeightsError(
                f'there is no file of weights {file} (working directory: {Path.cwd()})'
            )
        return ResolvedModel(_label(model), config, file)
    if Path(model).suffix == '.py':
        entry = next((e for e in _entries() if e.name == config.stem), None)
        if entry is None or not entry.config.samefile(config):
            raise MissingWeightsError(
                f'{config} is a config alone: name a file of weights too'
            )
    else:
        entry = find_model(str(model))
    return ResolvedModel(entry.alias, config, entry.require_weights(), entry.caveat)


def root() -> Path:
    """The folder of ``model-index.yml``: in an installed package or in a checkout.

    Raises:
        CatalogError: It is in neither.
    """
    package = Path(mmssm.__file__).resolve().parent
    places = (package.parent, package / '.mim')
    for place in places:
        if (place / INDEX).is_file() and (place / 'configs').is_dir():
            return place
    raise CatalogError(
        f'{INDEX} and configs are neither in {places[0]} nor in {places[1]}: install '
        'mmssm again (pip install --no-build-isolation .)'
    )


def _label(model: str | Path) -> str:
    return Path(model).stem if Path(model).suffix == '.py' else str(model)


def _task_name(task: str) -> str:
    name = task.lower().replace(' ', '_')
    tasks = list_tasks()
    if name not in tasks:
        raise ValueError(f'there is no task {task!r}; tasks are {", ".join(tasks)}')
    return name


def _matches(entry: ModelEntry, pattern: str) -> bool:
    wanted = _plain(pattern)
    if not set(wanted) & set('*?['):
        wanted = f'*{wanted}*'
    return any(fnmatch.fnmatchcase(_plain(name), wanted) for name in entry.names)


def _plain(name: str) -> str:
    """A name as it is compared: nobody remembers where ``_`` stands and where ``-``."""
    return name.lower().replace('_', '-')


def _letters(name: str) -> str:
    return name.replace('-', '')


@cache
def _entries() -> tuple[ModelEntry, ...]:
    """All models, read once."""
    folder = root()
    collections: dict[str, dict] = {}
    models: list[tuple[Path, dict]] = []
    for path in _read(folder / INDEX)['Import']:
        content = _read(folder / path)
        for collection in content.get('Collections', []):
            collections[collection['Name']] = collection
        models += [(folder / path, model) for model in content.get('Models', [])]
    entries = [_entry(folder, file, model, collections) for file, model in models]
    _check_apart(entries)
    return tuple(sorted(entries, key=lambda e: (e.task, e.weights is None, e.alias)))


def _read(path: Path) -> dict[str, Any]:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as error:
        raise UserError(
            f'the list of models is YAML, which needs PyYAML ({error}): '
            'pip install pyyaml'
        ) from error
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError) as error:
        raise CatalogError(f'{path} cannot be read: {error}') from error


def _entry(
    folder: Path, file: Path, model: Mapping, collections: Mapping[str, Mapping]
) -> ModelEntry:
    missing = {'Name', 'Config', 'Metadata'} - set(model)
    if missing:
        raise CatalogError(f'{file}: a model lacks {", ".join(sorted(missing))}')
    collection = collections.get(model.get('In Collection', ''), {})
    meta = {**collection.get('Metadata', {}), **model['Metadata']}
    aliases = _strings(model.get('Alias', []))
    results = model.get('Results', [])
    paper = collection.get('Paper')
    return ModelEntry(
        alias=(*aliases, model['Name'])[0],
        name=model['Name'],
        aliases=aliases,
        task=Path(model['Config']).parts[1],
        config=folder / model['Config'],
        weights=_shipped(model.get('Weights')),
        metrics={k: v for result in results for k, v in result['Metrics'].items()},
        dataset=meta.get('Training Data', ''),
        paper=Paper(paper['Title'], paper['URL']) if paper else None,
        parameters=meta.get('Parameters'),
        converters=_strings(meta.get('Converters', [])),
        caveat=meta.get('Caveat', ''),
    )


def _strings(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _shipped(weights: str | None) -> Path | None:
    """Weights are named from the folder above the package, wherever that lies."""
    if weights is None:
        return None
    path = Path(mmssm.__file__).resolve().parents[1] / weights
    return path if path.is_file() else None


def _check_apart(entries: list[ModelEntry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        for name in entry.names:
            other = seen.setdefault(_plain(name), entry.name)
            if other != entry.name:
                raise CatalogError(
                    f'{name!r} is the name of two models: {other} and {entry.name}'
                )
