# Hamba on FreiHAND alone, as most methods beside it in the paper's Table 1 are trained;
# as long as the paper's ablations, which are on the mixture.
# Needs MANO's right hand, data/mano/MANO_RIGHT.pkl (docs/mano.md). The backbone starts
# from HaMeR's weights in the paper (tools/model_converters/hamer_vit.py): --cfg-options
# model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE
_base_ = [
    '../../../_base_/schedules/hand_mesh_170k.py',
    '../../../_base_/models/hamba_vit-h.py',
    '../../../_base_/datasets/freihand_mesh.py',
]

train_cfg = dict(max_iters=60000)
model = dict(head=dict(mano=dict(model='data/mano/MANO_RIGHT.pkl')))
train_dataloader = dict(
    batch_size=28,
    num_workers=8,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
)

# tools/test.py --format-only writes the file that FreiHAND's server takes
val_evaluator = dict(type='mmssm.HandMeshMetric', submission='freihand')
test_evaluator = val_evaluator
