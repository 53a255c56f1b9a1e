"""T2I-CompBench and ++: are attributes, positions, counts and actions bound to the right objects?"""
