# What every config of this project starts from: MMPose's own default runtime,
# plus hooks that keep checkpoints whole, make a resumed run equal to an
# uninterrupted one and stop at the first loss that is not a number.
default_scope = 'mmpose'
custom_imports = dict(imports=['mmssm.registry'], allow_failed_imports=False)

# hooks
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mmssm.ResumableCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    reseed=dict(type='mmssm.ReseedHook'),
    invalid_loss=dict(type='mmssm.InvalidLossHook'),
    visualization=dict(type='PoseVisualizationHook', enable=False),
)
custom_hooks = [
    # Buffers such as BatchNorm's running statistics are the same on all ranks
    # when a checkpoint is written.
    dict(type='SyncBuffersHook')
]

# environment
randomness = dict(seed=0)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

# visualizer
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='PoseLocalVisualizer', vis_backends=vis_backends, name='visualizer'
)

# log
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True, num_digits=6)
log_level = 'INFO'
load_from = None
resume = False

# file I/O backend
backend_args = dict(backend='local')

# progress of training, validation and test
train_cfg = dict(by_epoch=True)
val_cfg = dict()
test_cfg = dict()
