# Hamba on HO-3D, version 3, alone.
# Needs MANO's right hand, data/mano/MANO_RIGHT.pkl (docs/mano.md).
_base_ = [
    '../../../_base_/schedules/hand_mesh_170k.py',
    '../../../_base_/models/hamba_vit-h.py',
    '../../../_base_/datasets/ho3d.py',
]

train_cfg = dict(max_iters=60000)
model = dict(head=dict(mano=dict(model='data/mano/MANO_RIGHT.pkl')))
train_dataloader = dict(
    batch_size=28,
    num_workers=8,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
)

# tools/test.py --format-only writes the file that HO-3D's server takes
val_evaluator = dict(
    type='mmssm.HandMeshMetric',
    errors=['PA-MPJPE', 'PA-MPVPE', 'ST-MPJPE', 'MPJPE', 'MPVPE'],
    submission='ho3d_v3',
)
test_evaluator = val_evaluator
