# Table 4, row 5: the map's mean stands in for every joint's token.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(token_sampler=False, fusion=('gss', 'joints', 'global')))
