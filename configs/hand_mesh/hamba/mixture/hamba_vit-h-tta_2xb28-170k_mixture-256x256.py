# The paper's test-time augmentation: 5 scales and 19 rotations, 95 views of each crop.
_base_ = ['hamba_vit-h_2xb28-170k_mixture-256x256.py']

model = dict(
    test_cfg=dict(
        tta_scales=(0.7, 0.8, 0.9, 1.0, 1.1),
        tta_rotations=tuple(range(-90, 91, 10)),
    )
)
