# What is done to a hand's image before a model of its mesh sees it: the square crop of
# HaMeR's rule, its augmentation in training, left hands mirrored, labels. The box is
# that of the joints unless a name says otherwise.
hand_mesh_meta_keys = (
    'id',
    'img_id',
    'img_path',
    'dataset_name',
    'ori_shape',
    'img_shape',
    'input_size',
    'input_center',
    'input_scale',
    'flip',
    'flip_direction',
    'flip_indices',
    'hand_type',
    'hand_type_valid',
    'focal',
    'principal_pt',
    'root_index',
    'crop_mirrored',
    'bbox_rotation',
)
hand_mesh_codec = dict(type='mmssm.HandMesh', input_size=(256, 256))
pack = dict(type='PackPoseInputs', meta_keys=hand_mesh_meta_keys)
augmented = [
    dict(type='mmssm.HandMeshCropJitter'),
    dict(type='mmssm.HandMeshCropAffine', input_size=(256, 256)),
    dict(type='mmssm.MirrorLeftHand'),
    dict(type='mmssm.RandomChannelGain', gain=0.2),
    dict(type='GenerateTarget', encoder=hand_mesh_codec),
    pack,
]
plain = [
    dict(type='mmssm.HandMeshCropAffine', input_size=(256, 256)),
    dict(type='mmssm.MirrorLeftHand'),
    dict(type='GenerateTarget', encoder=hand_mesh_codec),
    pack,
]

# boxes of joints
box = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='mmssm.HandMeshCropBox', factor=2.0),
]
hand_mesh_train_pipeline = [*box, *augmented]
hand_mesh_val_pipeline = [*box, *plain]

# boxes of HaMeR's files, which are enlarged already
hamer_box = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='mmssm.HandMeshCropBox', factor=1.0),
]
hamer_train_pipeline = [*hamer_box, *augmented]
hamer_val_pipeline = [*hamer_box, *plain]

# HaMeR's evaluation on HInt: twice the longer side of the box
hint_box = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='mmssm.HandMeshCropBox', factor=2.0, aspect=None),
]
hint_train_pipeline = [*hint_box, *augmented]
hint_val_pipeline = [*hint_box, *plain]
