# Minutes of a CPU on generated hands: by iterations, the same for all backbones.
# The schedule follows max_iters, the only number to change.
_base_ = ['../default_runtime.py']

train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=1500, val_interval=500
)
optim_wrapper = dict(
    constructor='mmssm.MambaOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=30, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False, window_size=20)
