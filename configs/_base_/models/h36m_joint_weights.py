# The joints' weights of MixSTE, in Human3.6M's order: ends of limbs count most.
# fmt: off
joint_weights = [
    1.0,  # pelvis
    1.0, 2.5, 2.5,  # right leg
    1.0, 2.5, 2.5,  # left leg
    1.0, 1.0, 1.0, 1.5,  # spine, thorax, neck, head
    1.5, 4.0, 4.0,  # left arm
    1.5, 4.0, 4.0,  # right arm
]
# fmt: on
