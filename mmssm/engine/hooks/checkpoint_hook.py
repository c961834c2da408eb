"""Checkpoints that survive a kill and a full disk."""

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import BaseStorageBackend, LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmssm.engine.checkpoint_files import ATOMIC_BACKEND, AtomicLocalBackend
from mmssm.registry import HOOKS
from mmssm.utils.whole_files import write_atomically


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, never without a whole checkpoint.

    The stock hook deletes an old checkpoint, and the old best one, *before* it
    writes the new one, and writes it straight to its final name, as it does
    ``last_checkpoint``: a kill or a full disk in between leaves nothing to
    resume from. Here a file appears under its name only when it is whole
    and on the disk, ``last_checkpoint`` is moved on after that, and old files
    go last. Arguments, file names and contents are those of the stock hook,
    except that ``file_client_args``, deprecated there, is refused.
    """

    def before_train(self, runner: Runner) -> None:
        """Chooses where and how files are written.

        Raises:
            ValueError: ``file_client_args`` is set.
        """
        if self.file_client_args is not None:
            raise ValueError(
                'the checkpoint hook has file_client_args, which MMEngine '
                'deprecated: give backend_args instead'
            )
        super().before_train(runner)
        if type(self.file_backend) is LocalBackend:
            self.file_backend: BaseStorageBackend = AtomicLocalBackend()
            self.backend_args = {'backend': ATOMIC_BACKEND}

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        expired = self._keep(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        write_atomically(
            Path(runner.work_dir) / 'last_checkpoint', self.last_ckpt.encode()
        )
        for old_step in expired:
            self._remove(
                self.file_backend.join_path(
                    self.out_dir, self.filename_tmpl.format(old_step)
                )
            )

    def _keep(self, runner: Runner, step: int) -> list[int]:
        """Notes that ``step`` is kept; returns the steps it displaces."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        displaced = list(self.keep_ckpt_ids)[: 1 - self.max_keep_ckpts or None]
        expired = displaced if len(self.keep_ckpt_ids) == self.max_keep_ckpts else []
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return expired

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        old = self._best_paths()
        # The stock method deletes the best file it knows before it writes.
        self._set_best_paths(dict.fromkeys(old))
        super()._save_best_checkpoint(runner, metrics)
        new = self._best_paths()
        self._set_best_paths({key: new[key] or old.get(key) for key in new})
        if is_main_process():
            for key, path in old.items():
                if path and new[key] and path != new[key]:
                    self._remove(path)

    def _best_paths(self) -> dict[str, str | None]:
        if len(self.key_indicators) == 1:
            return {self.key_indicators[0]: self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best_paths(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            (self.best_ckpt_path,) = paths.values()
        else:
            self.best_ckpt_path_dict.update(paths)

    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # sharded checkpoints are folders
            self.file_backend.rmtree(path)
