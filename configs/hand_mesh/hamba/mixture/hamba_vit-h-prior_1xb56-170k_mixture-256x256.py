# With the adversarial loss of the paper: a prior of poses and shapes, trained against
# the network by an optimizer of its own, in one process. Its real hands are FreiHAND's
# parameters in HaMeR's file.
_base_ = ['hamba_vit-h_2xb28-170k_mixture-256x256.py']

model = dict(
    prior=dict(
        type='mmssm.HandPosePrior',
        poses=dict(
            type='mmssm.HandPoseDataset', ann_file='data/hamer/freihand_mocap.npz'
        ),
    )
)
train_dataloader = dict(batch_size=56)
adamw = dict(type='AdamW', lr=1e-5, betas=(0.9, 0.999), weight_decay=1e-4)
optim_wrapper = dict(
    _delete_=True,
    constructor='mmssm.PriorOptimWrapperConstructor',
    network=dict(
        constructor='mmssm.MambaOptimWrapperConstructor',
        optimizer=adamw,
    ),
    prior=dict(optimizer=adamw),
)
