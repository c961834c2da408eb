# Table 4, row 6: GSS blocks scan forth only.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(bidirectional=False))
