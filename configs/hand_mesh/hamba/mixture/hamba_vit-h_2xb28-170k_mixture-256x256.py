# Hamba as published, but for the adversarial loss (…-prior…): ten data sets by the
# paper's weights, 170,000 steps of 56 hands, tested on FreiHAND.
# Needs MANO's hands, data/mano/MANO_{RIGHT,LEFT}.pkl (docs/mano.md). The paper starts
# from the ViT of HaMeR (tools/model_converters/hamer_vit.py): --cfg-options
# model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
_base_ = [
    '../../../_base_/schedules/hand_mesh_170k.py',
    '../../../_base_/models/hamba_vit-h.py',
    '../../../_base_/datasets/hand_mesh_mixture.py',
]

model = dict(head=dict(mano=dict(model='data/mano/MANO_RIGHT.pkl')))

# data loaders
train_dataloader = dict(
    batch_size=28,
    num_workers=8,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='mmssm.FreiHAND3DDataset',
        data_root='data/freihand/FreiHAND_pub_v2_eval/',
        split='evaluation',
        with_vertices=True,
        pipeline={{_base_.hand_mesh_val_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(type='mmssm.HandMeshMetric', submission='freihand')
test_evaluator = val_evaluator
