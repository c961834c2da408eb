# Table 4, row 1: sampled tokens go to the GSS blocks, but not into the fusion.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(fusion=('gss', 'joints', 'global')))
