# NYU's depth images of the first Kinect, in A2J's cube, about the centres that A2J and
# V2V-PoseNet distribute. Configs that inherit set their pipelines.
_base_ = ['../pipelines/hand_topdown.py']

dataset = dict(
    type='mmssm.NYUHandDataset',
    data_root='data/nyu/',
    # width, height and depth, metres
    cube=(0.22, 0.22, 0.3),
)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset,
        split='train',
        center_file='nyu_center_train.mat',
        pipeline={{_base_.depth_pipeline}},
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        split='test',
        center_file='nyu_center_test.mat',
        pipeline={{_base_.depth_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
