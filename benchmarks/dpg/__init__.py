"""DPG-Bench: does the image show each of the many things that a dense prompt asks for?"""
