# The schedule of PoseMamba's paper: one parameter group (weight decay on
# everything), fp32, no warm-up, and the best of all epochs on the test set.
_base_ = ['../default_runtime.py']

# runtime
train_cfg = dict(max_epochs=120, val_interval=1)
default_hooks = dict(
    checkpoint=dict(save_best='MPJPE_action_mean', rule='less', max_keep_ckpts=1),
    visualization=dict(
        _delete_=True, type='mmssm.Pose3dVisualizationHook', enable=False, fps=50
    ),
)
visualizer = dict(type='mmssm.Pose3dVisualizer')

# optimizer and learning policy
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01))
param_scheduler = [dict(type='ExponentialLR', gamma=0.99, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=4)
