# Minutes of a CPU on the embedded motion data: by iterations, with pictures in 3D.
# The schedule follows max_iters, the only number to change.
_base_ = ['../default_runtime.py']

train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=4000, val_interval=500
)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1),
    # every second frame of 50 a second: the clips run at their true speed
    visualization=dict(
        _delete_=True,
        type='mmssm.Pose3dVisualizationHook',
        enable=False,
        clip_step=2,
        fps=25,
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False),
]
visualizer = dict(type='mmssm.Pose3dVisualizer')
log_processor = dict(by_epoch=False)
