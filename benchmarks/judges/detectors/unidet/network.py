"""UniDet's two networks, put together of detectron2's parts: the numbers are those of the official configs.

Files and lines are those of Karine-Huang/T2I-CompBench at 1b709499, folder UniDet_eval/experts/obj_detection.
For evaluation over the unified labels, its own heads (``unidet/modeling/roi_heads/unified_roi_heads.py``)
compute what the cascade of detectron2 does with a sigmoid for the softmax, and a threshold of their own.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from benchmarks.judges.detectors.unidet.resnest import ResNeSt

#: The backbone: ResNet-50, or ResNeSt-200.
Kind = Literal["R50", "RS200"]
#: Labels of the unified space (configs/Unified_learned_OCIM_R50_6x+2x.yaml, 5).
LABELS: Final = 722
#: Written into the heads (unified_roi_heads.py, 110): ``--confidence-threshold``, 0.5, has no effect.
THRESHOLD: Final = 0.1
#: Base-CRCNN-COCO.yaml, 34.
MOST: Final = 300
#: Base-CRCNN-COCO.yaml, 6 to 34.
COMMON: Final[dict[str, Any]] = {
    "MODEL.RESNETS.DEPTH": 50,
    "MODEL.RESNETS.OUT_FEATURES": ["res3", "res4", "res5"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [
        [size * 2 ** (step / 3) for step in range(3)] for size in (32, 64, 128, 256, 512)
    ],
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
    "MODEL.RPN.IN_FEATURES": ["p3", "p4", "p5", "p6", "p7"],
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
    "MODEL.ROI_HEADS.NUM_CLASSES": LABELS,
    "MODEL.ROI_HEADS.IN_FEATURES": ["p3", "p4", "p5"],
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": THRESHOLD,
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": True,
    "TEST.DETECTIONS_PER_IMAGE": MOST,
}
#: Unified_learned_OCIM_RS200_6x+2x.yaml, 3 to 28. Its normalisation is synchronised while it is trained, and
#: the plain one afterwards; its mean is in the order RGB, the official scripts give it BGR.
LARGE: Final[dict[str, Any]] = {
    "MODEL.PIXEL_MEAN": [123.68, 116.779, 103.939],
    "MODEL.PIXEL_STD": [58.393, 57.12, 57.375],
    "MODEL.FPN.NORM": "BN",
    "MODEL.ROI_BOX_HEAD.NUM_CONV": 4,
    "MODEL.ROI_BOX_HEAD.NUM_FC": 1,
    "MODEL.ROI_BOX_HEAD.NORM": "BN",
}
#: The bottom of the pyramid, by backbone.
PYRAMID: Final = ("res3", "res4", "res5")


def config_of(kind: Kind) -> Any:
    """Return detectron2's config of a network; all that is not named here is its default."""
    from detectron2.config import get_cfg

    config = get_cfg()
    values = {**COMMON, **(LARGE if kind == "RS200" else {})}
    config.merge_from_list([word for pair in values.items() for word in pair])
    return config


def build(kind: Kind, device: str) -> Any:
    """Return the network for evaluation: random weights, by the names that the published ones have."""
    from detectron2.modeling.backbone import FPN
    from detectron2.modeling.backbone.fpn import LastLevelP6P7
    from detectron2.modeling.meta_arch import GeneralizedRCNN
    from detectron2.modeling.proposal_generator import build_proposal_generator
    from detectron2.modeling.roi_heads import CascadeROIHeads

    config = config_of(kind)
    config.MODEL.DEVICE = device
    width = config.MODEL.FPN.OUT_CHANNELS
    backbone = FPN(
        bottom_up=_bottom_up(kind, config),
        in_features=list(PYRAMID),
        out_channels=width,
        norm=config.MODEL.FPN.NORM,
        top_block=LastLevelP6P7(width, width, "p5"),
    )
    shapes = backbone.output_shape()
    model = GeneralizedRCNN(
        backbone=backbone,
        proposal_generator=build_proposal_generator(config, shapes),
        roi_heads=CascadeROIHeads(config, shapes),
        pixel_mean=config.MODEL.PIXEL_MEAN,
        pixel_std=config.MODEL.PIXEL_STD,
        input_format="BGR",
    )
    return model.to(device).eval()


def _bottom_up(kind: Kind, config: Any) -> Any:
    from detectron2.layers import ShapeSpec
    from detectron2.modeling.backbone import Backbone
    from detectron2.modeling.backbone.resnet import build_resnet_backbone

    if kind == "R50":
        return build_resnet_backbone(config, ShapeSpec(channels=3))

    class BottomUp(ResNeSt, Backbone):  # type: ignore[misc]  # detectron2 has no types
        def output_shape(self) -> Any:
            return {
                name: ShapeSpec(channels=channels, stride=8 * 2**number)
                for number, (name, channels) in enumerate(self.channels.items())
            }

    return BottomUp()
