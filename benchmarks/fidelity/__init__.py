"""How near are generated images to real ones, and to their prompts? Fréchet, kernel, neighbour distances."""
