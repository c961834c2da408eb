# Table S1: attention in the place of the scans.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(mixer='attention'))
