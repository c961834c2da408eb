# Hamba trained on the mixture, tested on HInt: New Days of Hands. The crop is twice the
# longer side of the box, as in HaMeR's evaluation.
_base_ = ['../mixture/hamba_vit-h_2xb28-170k_mixture-256x256.py']

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmssm.HIntDataset',
        data_root='data/hint/HInt_annotation/',
        split='TEST',
        source='newdays_img',
        pipeline={{_base_.hint_val_pipeline}},
        test_mode=True,
    )
)
test_evaluator = dict(_delete_=True, type='mmssm.HIntPCK')
