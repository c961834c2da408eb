# MMPose's SimpleBaseline3D (a TCN of kernel size 1 on single frames), with the
# data, augmentation, normalisation and protocol of the PoseMamba beside it.
_base_ = ['video-pose-lift_tcn-27frm_1xb32_mocap-fold0.py']

model = dict(
    backbone=dict(
        stem_channels=1024, kernel_sizes=(1, 1, 1), dropout=0.25, use_stride_conv=False
    ),
    head=dict(in_channels=1024),
)
train_dataloader = dict(dataset=dict(seq_len=1))
val_dataloader = dict(dataset=dict(seq_len=1))
test_dataloader = val_dataloader
