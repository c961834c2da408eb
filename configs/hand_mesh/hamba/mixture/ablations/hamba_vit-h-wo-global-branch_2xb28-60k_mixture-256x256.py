# Table 4, row 4: the map's mean goes to the GSS blocks, but not into the fusion.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(fusion=('gss', 'joints', 'tokens')))
