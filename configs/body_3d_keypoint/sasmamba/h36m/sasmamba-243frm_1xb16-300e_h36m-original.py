# With the losses of the released training code, and its number of epochs (it stops
# early, after 40 epochs without a better test error, which this does not).
_base_ = './sasmamba-243frm_1xb16-150e_h36m-original.py'

train_cfg = dict(max_epochs=300)
model = dict(
    head=dict(
        loss=dict(mpjpe=1.0, n_mpjpe=0.5, temporal_consistency=0.0, weighted_mpjpe=0.0)
    )
)
