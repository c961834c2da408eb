# Hamba trained on the mixture, tested on HInt: Ego4D.
_base_ = ['hamba_vit-h_2xb28-170k_mixture-hint-newdays-256x256.py']

test_dataloader = dict(dataset=dict(source='ego4d_img'))
