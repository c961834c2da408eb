# The schedule of the paper's ablations (Table 4, Table S1): 60,000 steps.
_base_ = ['hamba_vit-h_2xb28-170k_mixture-256x256.py']

train_cfg = dict(max_iters=60000)
