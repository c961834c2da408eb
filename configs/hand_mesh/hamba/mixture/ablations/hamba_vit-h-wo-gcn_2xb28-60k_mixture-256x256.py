# Table 4, row 7: GSS blocks without the graph convolution.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(graph_conv=False))
