# The plain head on the same backbone, data and recipe: pooled features and an MLP.
_base_ = ['hamba-small_res18_1xb16_synthhand-128x128.py']

model = dict(
    head=dict(
        _delete_=True, type='mmssm.MANOHead', in_channels=128, hidden_dims=(1024, 1024)
    )
)
