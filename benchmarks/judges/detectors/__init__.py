"""Detectors behind one interface (detection.py): Mask2Former as GenEval has it, transformers, detectron2."""
