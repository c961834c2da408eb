# Hamba trained on the mixture, tested on HO-3D, version 3. With the public
# evaluation_{xyz,verts}.json all is measured here; --format-only writes the server's
# file, for which the images and the wrists of the evaluation set suffice
# (test_dataloader.dataset.with_vertices=False).
_base_ = ['../mixture/hamba_vit-h_2xb28-170k_mixture-256x256.py']

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmssm.HO3DDataset',
        data_root='data/ho3d/HO3D_v3/',
        version='v3',
        split='evaluation',
        with_vertices=True,
        pipeline={{_base_.hand_mesh_val_pipeline}},
        test_mode=True,
    )
)
test_evaluator = dict(
    errors=['PA-MPJPE', 'PA-MPVPE', 'ST-MPJPE', 'MPJPE', 'MPVPE'],
    submission='ho3d_v3',
)
