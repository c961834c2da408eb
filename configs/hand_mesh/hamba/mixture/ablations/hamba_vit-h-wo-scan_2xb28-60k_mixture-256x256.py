# Table 4, row 9: GSS blocks of the graph convolution alone.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(gss_depth=0))
