"""What of mmdet is brought over: its names and shapes of parameters, its way from image to input."""
