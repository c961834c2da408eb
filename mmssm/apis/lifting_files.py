"""The files of a lifted source, made one after the other."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmssm.inputs import read_keypoints, write_keypoints
from mmssm.structures.tracks import KeypointSequence
from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import write_atomically
from mmssm.visualization.viewer import write_annotated_video, write_lifting_page

from .results import LiftingResult, read_lifting_result

_STAGES = {'tracks': ('_2d.json',), 'result': ('.json', '.npz', '.mp4', '.html')}
"""What ends the names of a stage's files. Each stage is made of those before."""


class LiftingFiles:
    """The files of one source in a folder.

    ``NAME_2d.json``, the 2D joints; ``NAME.json`` and ``NAME.npz``, the result;
    ``NAME.mp4``, the video with what was found; ``NAME.html``, a page that plays it in
    a browser; and ``NAME.settings.json``, which says what they were made of and how.
    Each is whole or not there. A file that is there and was made with the same
    settings is not made again, so that a run that was stopped goes on.

    Args:
        folder: Where the files go.
        name: What they are called.
        settings: By stage, ``'tracks'`` and ``'result'``, all that decides on it, as
            plain data.
        inputs: Files that are being read.

    Raises:
        UserError: One of the inputs would be written over, or a file that is not one
            of these.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        settings: Mapping[str, Mapping[str, Any]],
        inputs: Iterable[Path],
    ) -> None:
        self._folder, self._name = folder, name
        self._settings_path = self.path('.settings.json')
        self._spare(inputs)
        self._state = self._read_state()
        wanted, chain = {}, ''
        for stage in _STAGES:
            chain = _digest([chain, dict(settings[stage])])
            wanted[stage] = chain
        self._forget_stale(wanted)
        self._state['settings'] = {stage: dict(settings[stage]) for stage in _STAGES}
        self._state['made_with'] = wanted
        self._write_state()

    def path(self, ending: str) -> Path:
        """The file of this ending."""
        return self._folder / f'{self._name}{ending}'

    def has(self, ending: str) -> bool:
        """Whether it is there, made with these settings."""
        return self.path(ending).is_file()

    def read_tracks(self) -> tuple[KeypointSequence, str, tuple[str, ...]] | None:
        """The 2D joints of an earlier run, what found them, and its notes.

        None if there are none, or if somebody has damaged them; so below.
        """
        if not self.has('_2d.json') or 'found' not in self._state:
            return None
        try:
            sequence = read_keypoints(self.path('_2d.json'))
        except UserError:
            return None
        found = self._state['found']
        sequence = replace(sequence, source=found['source'])
        return sequence, found['frontend'], tuple(found['notes'])

    def write_tracks(
        self, sequence: KeypointSequence, frontend: str, notes: tuple[str, ...]
    ) -> None:
        """Keeps the 2D joints."""
        write_keypoints(self.path('_2d.json'), sequence)
        self._state['found'] = {
            'source': sequence.source,
            'frontend': frontend,
            'notes': list(notes),
        }
        self._write_state()

    def read_result(self) -> LiftingResult | None:
        """The result of an earlier run."""
        if not self.has('.json'):
            return None
        try:
            return read_lifting_result(self.path('.json'))
        except UserError:
            return None

    def write_result(self, result: LiftingResult) -> None:
        """Writes the result in both formats; ``.json``, which counts, last."""
        result.to_npz(self.path('.npz'))
        result.to_json(self.path('.json'))

    def write_video(self, result: LiftingResult, video: Path) -> None:
        """Writes the annotated video, if it is not there."""
        if not self.has('.mp4'):
            write_annotated_video(self.path('.mp4'), result, video)

    def write_page(
        self, result: LiftingResult, video: Path | None, other: LiftingResult | None
    ) -> None:
        """Writes the page, if it is not there."""
        if not self.has('.html'):
            write_lifting_page(self.path('.html'), result, video, other)

    def _spare(self, inputs: Iterable[Path]) -> None:
        outputs = [self.path(end) for own in _STAGES.values() for end in own]
        names = {path.resolve() for path in (self._settings_path, *outputs)}
        for one in inputs:
            if one.resolve() in names:
                raise UserError(
                    f'{one} is an input and would be written over: give another folder '
                    'with --out'
                )
        others = [path for path in outputs if path.exists()]
        if others and not self._settings_path.exists():
            raise UserError(
                f'{others[0]} is there, and no {self._settings_path.name} says that it '
                'is of an earlier run: move it away, or give another folder with --out'
            )

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads(self._settings_path.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _write_state(self) -> None:
        text = json.dumps(self._state, indent=1)
        write_atomically(self._settings_path, text.encode())

    def _forget_stale(self, wanted: Mapping[str, str]) -> None:
        made_with = self._state.get('made_with')
        made_with = made_with if isinstance(made_with, dict) else {}
        for stage, endings in _STAGES.items():
            if made_with.get(stage) != wanted[stage]:
                if stage == 'tracks':
                    self._state.pop('found', None)
                for ending in endings:
                    self.path(ending).unlink(missing_ok=True)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
