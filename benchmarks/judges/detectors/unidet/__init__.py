"""UniDet, the detector of T2I-CompBench: 722 labels learned from four datasets, on detectron2."""
