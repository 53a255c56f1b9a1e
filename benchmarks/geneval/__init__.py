"""GenEval: does the image show the objects, counts, colours and positions that the prompt asks for?"""
