# The training of Hamba's paper: AdamW, a constant rate of 1e-5, stopped after 170,000
# steps of 56 hands. Losses are sums over the batch, as published: a batch of another
# size is another training (loss=dict(reduction='mean') in the head mends that).
_base_ = ['../default_runtime.py']

train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=170000, val_interval=10000
)
optim_wrapper = dict(
    constructor='mmssm.MambaOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-5, betas=(0.9, 0.999), weight_decay=1e-4),
)
auto_scale_lr = dict(base_batch_size=56)
default_hooks = dict(
    checkpoint=dict(
        by_epoch=False,
        interval=10000,
        max_keep_ckpts=2,
        save_best='PA-MPVPE',
        rule='less',
    ),
    visualization=dict(type='mmssm.HandMeshVisualizationHook'),
)
visualizer = dict(type='mmssm.HandMeshVisualizer')
log_processor = dict(by_epoch=False)
