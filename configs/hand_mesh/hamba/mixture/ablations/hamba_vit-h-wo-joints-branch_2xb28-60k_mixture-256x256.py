# Table 4, row 2: 2D joints say where tokens are, but do not go into the fusion.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(fusion=('gss', 'global', 'tokens')))
