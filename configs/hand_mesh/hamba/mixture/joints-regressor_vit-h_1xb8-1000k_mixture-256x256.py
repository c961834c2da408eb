# The joints regressor alone, which the paper trains first: 1,000,000 steps of 8 hands.
# Its weights go into the whole head by --cfg-options load_from=FILE.
_base_ = ['hamba_vit-h_2xb28-170k_mixture-256x256.py']

train_cfg = dict(max_iters=1000000)
model = dict(head=dict(fusion=()))
train_dataloader = dict(batch_size=8)
auto_scale_lr = dict(base_batch_size=8)
