# The small SasMamba in its causal form, for streams: same data, recipe and width.
# It is trained on clips of 27 frames and validated on whole videos, as one stream
# each, without the mirrored pass that doubles the latency.
_base_ = ['sasmamba_xs-27frm_1xb4_mocap-fold0.py']

model = dict(backbone=dict(causal=True), test_cfg=dict(flip_test=False))

# longer than any clip; frames behind a clip's end do not count
val_dataloader = dict(dataset=dict(seq_len=243))
test_dataloader = val_dataloader
