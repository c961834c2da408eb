"""Functions and classes for scripts: one import, one call.

What needs MMPose is imported when it is asked for, the host's cures before it
(``mmssm.registry``); the list of models needs neither MMPose nor PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .catalog import ModelEntry, find_model, list_models, resolve_model

if TYPE_CHECKING:
    from mmssm.models.deform_samples import DeformSamples, deform_samples

    from .checkpoint import (
        build_from_checkpoint,
        check_model_config,
        load_checkpoint,
        model_config_for_checkpoint,
        save_checkpoint,
    )
    from .export import ExportReport, export_onnx, open_onnx, read_onnx_metadata
    from .hand_mesh_inferencer import HandMeshInferencer
    from .pose_lifter_inferencer import LiftedFrame, PoseLifterInferencer
    from .results import (
        HandMeshResult,
        HandResult,
        LiftingResult,
        PersonResult,
        read_hand_mesh_result,
        read_lifting_result,
    )
    from .scan_maps import ScanMap, scan_layers, scan_map, trace_scan
    from .streaming import StreamedPoses, StreamingLifter

_HOMES = {
    'DeformSamples': 'mmssm.models.deform_samples',
    'ExportReport': 'mmssm.apis.export',
    'HandMeshInferencer': 'mmssm.apis.hand_mesh_inferencer',
    'HandMeshResult': 'mmssm.apis.results',
    'HandResult': 'mmssm.apis.results',
    'LiftedFrame': 'mmssm.apis.pose_lifter_inferencer',
    'LiftingResult': 'mmssm.apis.results',
    'PersonResult': 'mmssm.apis.results',
    'PoseLifterInferencer': 'mmssm.apis.pose_lifter_inferencer',
    'ScanMap': 'mmssm.apis.scan_maps',
    'StreamedPoses': 'mmssm.apis.streaming',
    'StreamingLifter': 'mmssm.apis.streaming',
    'build_from_checkpoint': 'mmssm.apis.checkpoint',
    'check_model_config': 'mmssm.apis.checkpoint',
    'deform_samples': 'mmssm.models.deform_samples',
    'export_onnx': 'mmssm.apis.export',
    'load_checkpoint': 'mmssm.apis.checkpoint',
    'model_config_for_checkpoint': 'mmssm.apis.checkpoint',
    'open_onnx': 'mmssm.apis.export',
    'read_hand_mesh_result': 'mmssm.apis.results',
    'read_lifting_result': 'mmssm.apis.results',
    'read_onnx_metadata': 'mmssm.apis.export',
    'save_checkpoint': 'mmssm.apis.checkpoint',
    'scan_layers': 'mmssm.apis.scan_maps',
    'scan_map': 'mmssm.apis.scan_maps',
    'trace_scan': 'mmssm.apis.scan_maps',
}
"""Where that is which is imported when it is asked for."""

__all__ = [
    'DeformSamples',
    'ExportReport',
    'HandMeshInferencer',
    'HandMeshResult',
    'HandResult',
    'LiftedFrame',
    'LiftingResult',
    'ModelEntry',
    'PersonResult',
    'PoseLifterInferencer',
    'ScanMap',
    'StreamedPoses',
    'StreamingLifter',
    'build_from_checkpoint',
    'check_model_config',
    'deform_samples',
    'export_onnx',
    'find_model',
    'list_models',
    'load_checkpoint',
    'model_config_for_checkpoint',
    'open_onnx',
    'read_hand_mesh_result',
    'read_lifting_result',
    'read_onnx_metadata',
    'resolve_model',
    'save_checkpoint',
    'scan_layers',
    'scan_map',
    'trace_scan',
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    import_module('mmssm.registry')  # cures the host before it is imported
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
