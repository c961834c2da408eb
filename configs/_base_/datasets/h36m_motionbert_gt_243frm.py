# Human3.6M with ground-truth 2D input, in MotionBERT's file: the projection of the
# target. Two metrics: as predicted, and with the x and y of the input written
# over those of the prediction ("-given-xy"), as the papers evaluate.
_base_ = ['./h36m_motionbert_243frm.py']

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmssm.GroundTruth2D'),
            dict(type='GenerateTarget', encoder={{_base_.train_codec}}),
            {{_base_.flip}},
            {{_base_.pack}},
        ]
    )
)

val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmssm.GroundTruth2D'),
            dict(type='GenerateTarget', encoder={{_base_.val_codec}}),
            {{_base_.pack}},
        ]
    )
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='mmssm.LiftingMetric', skip_list={{_base_.skip_list}}),
    dict(type='mmssm.LiftingMetric', skip_list={{_base_.skip_list}}, given_xy=True),
]
test_evaluator = val_evaluator
