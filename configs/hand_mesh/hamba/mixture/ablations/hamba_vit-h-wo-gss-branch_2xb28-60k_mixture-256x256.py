# Table 4, row 3: without what the GSS blocks give, and so without them.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(fusion=('joints', 'global', 'tokens')))
