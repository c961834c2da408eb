# The plain head on ResNet-50: pooled features and an MLP.
_base_ = ['hamba_res50_2xb28-60k_freihand-256x256.py']

model = dict(
    head=dict(
        _delete_=True,
        type='mmssm.MANOHead',
        in_channels=2048,
        mano=dict(type='mmssm.MANO', model='data/mano/MANO_RIGHT.pkl'),
    )
)
